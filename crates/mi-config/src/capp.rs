//! CAR descriptors.
