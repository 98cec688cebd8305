//! The order of applications: by file name, or by their dependencies if every one says what it depends on.
//! MI: `CappDeployer#sort`.

use std::collections::{BTreeMap, BTreeSet};

use mi_config::{Diagnostic, Severity};

use crate::car::Car;

/// Puts applications, which come by file name, into the order of deployment.
pub(crate) fn sort(cars: Vec<Car>, out: &mut Vec<Diagnostic>) -> Vec<Car> {
    let ids: Option<Vec<String>> =
        cars.iter().map(|car| car.project.as_ref().and_then(|project| project.id.clone())).collect();
    let Some(ids) = ids else { return cars };
    let index: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let mut needs: Vec<BTreeSet<usize>> = Vec::with_capacity(cars.len());
    for (at, car) in cars.iter().enumerate() {
        let mut known = BTreeSet::new();
        for dependency in car.project.iter().flat_map(|project| &project.dependencies) {
            match index.get(dependency.id().as_str()) {
                Some(other) if *other != at => {
                    known.insert(*other);
                }
                Some(_) => {}
                None => {
                    let message = format!("depends on the application {}, which is not deployed", dependency.id());
                    out.push(Diagnostic::of_file(Severity::Warning, car.file.clone(), message));
                }
            }
        }
        needs.push(known);
    }
    let Some(order) = topological(&needs) else {
        let message = "applications depend on each other in a circle; they are deployed by file name";
        out.push(Diagnostic::of_file(Severity::Warning, "carbonapps", message));
        return cars;
    };
    let mut slots: Vec<Option<Car>> = cars.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| slots[at].take()).collect()
}

/// Indexes so that each comes behind those it needs, the lowest first among equals; `None` for a circle.
fn topological(needs: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    let mut open: Vec<BTreeSet<usize>> = needs.to_vec();
    let mut ready: BTreeSet<usize> = (0..open.len()).filter(|at| open[*at].is_empty()).collect();
    let mut order = Vec::with_capacity(open.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for (at, rest) in open.iter_mut().enumerate() {
            if rest.remove(&next) && rest.is_empty() {
                ready.insert(at);
            }
        }
    }
    (order.len() == needs.len()).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(needs: &[&[usize]], expected: Option<&[usize]>) {
        let needs: Vec<BTreeSet<usize>> = needs.iter().map(|it| it.iter().copied().collect()).collect();
        assert_eq!(topological(&needs).as_deref(), expected);
    }

    #[test]
    fn dependencies_come_first_and_names_decide_among_equals() {
        check(&[&[], &[], &[]], Some(&[0, 1, 2]));
        check(&[&[2], &[], &[]], Some(&[1, 2, 0]));
        check(&[&[1], &[2], &[]], Some(&[2, 1, 0]));
        check(&[&[1], &[0]], None);
        check(&[], Some(&[]));
    }
}
