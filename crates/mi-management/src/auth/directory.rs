//! Users of a user store in place of those of `deployment.toml`: who they are, and for a moment what they were.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mi_engine::users::{UserStore, UserStoreError};

use crate::request::Caller;

/// So long the store is not asked again whether the owner of a token is an administrator. MI: the cache of user roles.
const MEMORY: Duration = Duration::from_secs(30);
/// Users that are remembered.
const MAX_USERS: usize = 1000;

/// The store with what it said lately.
pub(crate) struct Directory {
    pub(crate) store: Arc<dyn UserStore>,
    seen: Mutex<HashMap<String, (bool, Instant)>>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Directory").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Directory {
    pub(crate) fn new(store: Arc<dyn UserStore>) -> Self {
        Self { store, seen: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (bool, Instant)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said of users holds no longer.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// The user with this password.
    pub(super) async fn password(&self, name: &str, password: &str) -> Result<Option<Caller>, UserStoreError> {
        if !self.store.authenticate(name, password).await? {
            return Ok(None);
        }
        self.ask(name.trim()).await
    }

    /// The user of a token; `None` when there is no such user any more.
    pub(super) async fn caller(&self, name: &str) -> Result<Option<Caller>, UserStoreError> {
        let seen = self.lock().get(name).filter(|(_, when)| when.elapsed() < MEMORY).map(|(admin, _)| *admin);
        match seen {
            Some(admin) => Ok(Some(Caller { name: name.to_owned(), admin })),
            None => self.ask(name).await,
        }
    }

    async fn ask(&self, name: &str) -> Result<Option<Caller>, UserStoreError> {
        let Some(roles) = self.store.roles_of(name).await? else { return Ok(None) };
        let admin = self.is_admin(&roles);
        let mut seen = self.lock();
        if seen.len() >= MAX_USERS {
            seen.clear();
        }
        seen.insert(name.to_owned(), (admin, Instant::now()));
        Ok(Some(Caller { name: name.to_owned(), admin }))
    }

    /// MI: `MicroIntegratorSecurityUtils#containsAdminRole`.
    pub(crate) fn is_admin(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| role == self.store.admin_role())
    }
}
