//! All APIs in an order that makes finding one cost a few hash look-ups, however many there are.

use std::collections::HashMap;
use std::sync::Arc;

use super::Api;

/// All APIs. MI keeps a list sorted by length of context, versioned ones first, and walks it; the same order comes
/// from trying each prefix of the path, longest first. MI: `AbstractApiHandler#dispatchToAPI`.
#[derive(Debug, Default)]
pub struct ApiTable {
    all: Vec<Arc<Api>>,
    versioned: HashMap<Arc<str>, Vec<Arc<Api>>>,
    plain: HashMap<Arc<str>, Vec<Arc<Api>>>,
    /// APIs with the context `/`, which take what is left.
    root: Vec<Arc<Api>>,
}

impl ApiTable {
    /// A table of `apis`.
    pub fn new(apis: Vec<Arc<Api>>) -> Self {
        let mut table = Self::default();
        for api in &apis {
            let place = match (&*api.context, api.version_type) {
                ("/", _) => &mut table.root,
                (_, "") => table.plain.entry(api.context.clone()).or_default(),
                _ => table.versioned.entry(api.context.clone()).or_default(),
            };
            place.push(api.clone());
        }
        table.all = apis;
        table
    }

    /// All APIs in the order deployed.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.all.iter()
    }

    /// The API by name (`Name`, or `Name:vVersion`).
    pub fn by_name(&self, name: &str) -> Option<&Arc<Api>> {
        self.all.iter().find(|api| &*api.name == name)
    }

    /// The API that takes a request. `caller` is the inbound endpoint it came through, `None` for the main listener.
    pub fn find(&self, path_and_query: &str, host: &str, secure: bool, caller: Option<&str>) -> Option<&Arc<Api>> {
        let path = path_and_query.split('?').next().unwrap_or_default();
        let fits = |api: &&Arc<Api>| api.serves(host, secure) && is_bound(&api.binds_to, caller);
        [&self.versioned, &self.plain]
            .into_iter()
            .filter(|table| !table.is_empty())
            .find_map(|table| prefixes(path).find_map(|prefix| table.get(prefix)?.iter().find(fits)))
            .or_else(|| self.root.iter().find(fits))
    }
}

/// Is something with these bindings reachable through `caller`? MI: `ApiUtils#isBound`.
pub(crate) fn is_bound(binds_to: &[String], caller: Option<&str>) -> bool {
    match caller {
        None => binds_to.is_empty() || binds_to.iter().any(|name| name == "default"),
        Some(caller) => binds_to.iter().any(|name| name == caller),
    }
}

/// The path and each of its prefixes that ends before a slash, longest first.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let mut next = Some(path);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.rfind('/').map(|at| &current[..at]).filter(|rest| !rest.is_empty());
        Some(current)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn api(name: &str, context: &str, version_type: &'static str, hostname: Option<&str>) -> Arc<Api> {
        Arc::new(Api {
            name: name.into(),
            context: context.into(),
            base_context: context.into(),
            version: "".into(),
            version_type,
            hostname: hostname.map(str::to_owned),
            port: None,
            protocol: None,
            binds_to: Vec::new(),
            resources: Vec::new(),
            publish_swagger: None,
            description: None,
            cors: None,
            meters: Metrics::default().api(name, "", ""),
        })
    }

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let table = ApiTable::new(vec![
            api("root", "/", "", None),
            api("orders", "/orders", "", None),
            api("deep", "/orders/archive", "", None),
            api("v1", "/orders/1.0", "url", None),
            api("host", "/only", "", Some("a.example")),
        ]);
        let found = table.find(path, "b.example:8290", false, None).map(|api| &*api.name);
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn the_longest_context_wins_and_contexts_end_at_a_slash() {
        check("/orders", Some("orders"));
        check("/orders/", Some("orders"));
        check("/orders?x=1/2", Some("orders"));
        check("/orders/archive/7", Some("deep"));
        check("/orders/1.0/x", Some("v1"));
        check("/ordersx", Some("root"));
        check("/only", Some("root"));
        check("/", Some("root"));
    }

    #[test]
    fn a_path_means_what_it_says_and_nothing_is_decoded_or_taken_back() {
        for path in
            ["//orders", "/./orders", "/x/../orders", "/%6frders", "/orders;x=1", "/orders%2farchive", "/orders%00"]
        {
            check(path, Some("root"));
        }
        // Within a context, whatever stands behind it is its own business.
        for path in ["/orders/../root", "/orders//archive", "/orders/%2e%2e/x", "/orders/;x=1"] {
            check(path, Some("orders"));
        }
    }

    #[test]
    fn prefixes_come_longest_first() {
        assert_eq!(prefixes("/a/b/").collect::<Vec<_>>(), ["/a/b/", "/a/b", "/a"]);
    }
}
