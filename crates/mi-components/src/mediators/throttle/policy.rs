//! Throttle policies: WS-Policy with assertions about who may send how often, and how many messages at a time.

use mi_xml::{Document, NodeId};

/// Namespace of the assertions.
const THROTTLE_NS: &str = "http://www.wso2.org/products/wso2commons/throttle";
/// Namespaces of WS-Policy.
const POLICY_NS: [&str; 2] = ["http://schemas.xmlsoap.org/ws/2004/09/policy", "http://www.w3.org/ns/ws-policy"];
/// Stands for all callers that no other entry names.
const OTHER: &str = "other";
/// Deepest nesting of policy operators above the assertion.
const MAX_DEPTH: usize = 50;

/// What a policy says.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Messages at a time.
    pub(super) concurrency: Option<u32>,
    /// Rates by address. `None` without such an entry.
    pub(super) by_address: Option<Callers>,
    /// Rates by host name, which go first.
    pub(super) by_domain: Option<Callers>,
}

/// What callers may do, of one kind of identification.
#[derive(Debug, Default)]
pub(super) struct Callers {
    named: Vec<Caller>,
    other: Option<Access>,
}

#[derive(Debug)]
struct Caller {
    /// An address or domain, or the first address of a range.
    id: String,
    /// The last address of a range.
    last: Option<String>,
    access: Access,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Allowed,
    Denied,
    Limited(Rate),
}

/// A rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    /// Messages in the unit time.
    pub(super) count: i64,
    /// Milliseconds.
    pub(super) unit: i64,
    /// Milliseconds without access after the count was exceeded; 0 for the rest of the unit time.
    pub(super) prohibit: i64,
}

/// Replaces the placeholder in a value.
pub(super) type Resolve<'r> = &'r dyn Fn(&str) -> Result<String, String>;

impl Limits {
    /// Reads a policy. `None` when it has no throttle assertion: everything is allowed then.
    /// MI: `ThrottleFactory#createMediatorThrottle`.
    pub(super) fn parse(document: &Document, policy: NodeId, resolve: Resolve<'_>) -> Result<Option<Self>, String> {
        let reader = Reader { document, resolve };
        match reader.assertion(policy, 0) {
            Some((assertion, Form::Nested)) => reader.nested_policies(assertion).map(Some),
            Some((assertion, Form::Alternatives)) => reader.alternatives(assertion).map(Some),
            None => Ok(None),
        }
    }
}

/// The two ways in which limits are written.
#[derive(Clone, Copy)]
enum Form {
    /// `MediatorThrottleAssertion`: a `wsp:Policy` a caller.
    Nested,
    /// `ThrottleAssertion`: a `wsp:All` a caller, with `wsp:ExactlyOne` of the limits.
    Alternatives,
}

struct Reader<'d> {
    document: &'d Document,
    resolve: Resolve<'d>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Address,
    Domain,
    /// Roles are known to API gateways only.
    Role,
}

impl Reader<'_> {
    fn children(&self, element: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.document.child_elements(element)
    }

    /// The name of a policy operator (`Policy`, `All`, `ExactlyOne`).
    fn operator(&self, element: NodeId) -> Option<&str> {
        POLICY_NS.contains(&self.document.namespace(element)).then(|| self.document.local_name(element))
    }

    fn name(&self, element: NodeId) -> &str {
        self.document.local_name(element)
    }

    fn text(&self, element: NodeId) -> String {
        self.document.text(element).into_owned()
    }

    fn assertion(&self, operator: NodeId, depth: usize) -> Option<(NodeId, Form)> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.children(operator).find_map(|child| match self.name(child) {
            _ if self.operator(child).is_some() => self.assertion(child, depth + 1),
            "MediatorThrottleAssertion" if self.document.namespace(child) == THROTTLE_NS => Some((child, Form::Nested)),
            "ThrottleAssertion" if self.document.namespace(child) == THROTTLE_NS => Some((child, Form::Alternatives)),
            _ => None,
        })
    }

    /// MI: `ThrottleFactory#buildThrottle`.
    fn nested_policies(&self, assertion: NodeId) -> Result<Limits, String> {
        let mut limits = Limits::default();
        for child in self.children(assertion) {
            match self.operator(child) {
                Some("Policy") => {
                    let mut caller = None;
                    let mut access = None;
                    for part in self.children(child) {
                        match self.operator(part) {
                            None => caller = Some(self.caller(part)?),
                            Some("Policy") => access = Some(self.nested_access(part)?),
                            Some(_) => {}
                        }
                    }
                    if let (Some(caller), Some(access)) = (caller, access) {
                        limits.add(caller, access);
                    }
                }
                Some(_) => {}
                None => self.concurrency(child, &mut limits)?,
            }
        }
        Ok(limits)
    }

    /// MI: `ThrottleFactory#fillCallerConfiguration`.
    fn nested_access(&self, policy: NodeId) -> Result<Access, String> {
        let mut access = Access::Limited(Rate::default());
        for part in self.children(policy) {
            access = match self.name(part) {
                "Allow" => Access::Allowed,
                "Deny" => Access::Denied,
                "Control" => {
                    let mut values = Vec::new();
                    for child in self.children(part) {
                        if self.operator(child) != Some("Policy") {
                            return Err("<Control> must contain a wsp:Policy".to_owned());
                        }
                        values.extend(self.children(child));
                    }
                    self.limited(values, false)?
                }
                other => return Err(format!("<{other}> is none of Allow, Deny and Control")),
            };
        }
        Ok(access)
    }

    /// MI: `ThrottlePolicyProcessor#processPolicy`.
    fn alternatives(&self, assertion: NodeId) -> Result<Limits, String> {
        let mut limits = Limits::default();
        for child in self.children(assertion) {
            match self.operator(child) {
                Some("All") => {
                    let mut caller = None;
                    let mut access = None;
                    for part in self.children(child) {
                        match self.operator(part) {
                            None => caller = Some(self.caller(part)?),
                            Some("ExactlyOne") => access = self.one_of(part)?,
                            Some(_) => {}
                        }
                    }
                    match (caller, access) {
                        (Some(caller), Some(access)) => limits.add(caller, access),
                        _ => return Err("an <ID> and one of the limits are mandatory".to_owned()),
                    }
                }
                Some(_) => {}
                None => self.concurrency(child, &mut limits)?,
            }
        }
        Ok(limits)
    }

    fn one_of(&self, exactly_one: NodeId) -> Result<Option<Access>, String> {
        for part in self.children(exactly_one) {
            match self.operator(part) {
                Some("All") => return self.limited(self.children(part).collect(), true).map(Some),
                Some(_) => {}
                None if self.name(part) == "IsAllow" => {
                    return match &*self.text(part) {
                        "true" => Ok(Some(Access::Allowed)),
                        "false" => Ok(Some(Access::Denied)),
                        other => Err(format!("<IsAllow> must be true or false, not '{other}'")),
                    };
                }
                None => return Err(format!("<{}> is neither IsAllow nor wsp:All", self.name(part))),
            }
        }
        Ok(None)
    }

    /// The rate that `values` describe. With `both`, count and unit time must stand, else one of them.
    fn limited(&self, values: Vec<NodeId>, both: bool) -> Result<Access, String> {
        let mut rate = Rate::default();
        let mut allowed = false;
        let (mut has_count, mut has_unit) = (false, false);
        for element in values.into_iter().filter(|element| self.operator(*element).is_none()) {
            let name = self.name(element);
            let text = self.text(element);
            if text.is_empty() {
                if name == "ProhibitTimePeriod" {
                    continue;
                }
                return Err(format!("<{name}> needs a value"));
            }
            let text = (self.resolve)(text.trim())?;
            match name {
                "MaximumCount" => {
                    has_count = true;
                    match text.parse::<i32>() {
                        Ok(count) => rate.count = i64::from(count),
                        Err(_) => {
                            log::error!(target: "ThrottleFactory", "Invalid number for maximum request number: {text}");
                            allowed = true;
                        }
                    }
                }
                "UnitTime" => {
                    has_unit = true;
                    rate.unit = text.parse().unwrap_or(0);
                    if rate.unit == 0 {
                        return Err(format!("<UnitTime> must be a number of milliseconds, not '{text}'"));
                    }
                }
                "ProhibitTimePeriod" => match text.parse() {
                    Ok(period) => rate.prohibit = period,
                    Err(_) => log::error!(target: "ThrottleFactory", "Invalid number for prohibit time: {text}"),
                },
                other => return Err(format!("<{other}> is none of MaximumCount, UnitTime and ProhibitTimePeriod")),
            }
        }
        if (both && !(has_count && has_unit)) || !(has_count || has_unit) {
            return Err("Maximum Count and UnitTime are Mandatory in Throttle Policy".to_owned());
        }
        Ok(if allowed { Access::Allowed } else { Access::Limited(rate) })
    }

    /// The kind and identification of an `<ID>`.
    fn caller(&self, element: NodeId) -> Result<(Kind, String), String> {
        let kind = match self.document.attribute(element, THROTTLE_NS, "type").as_deref() {
            Some("IP") => Kind::Address,
            Some("DOMAIN") => Kind::Domain,
            Some("ROLE") => Kind::Role,
            Some(other) => return Err(format!("Unsupported throttle type : {other}")),
            None => return Err("Type of Throttle in the policy cannot be null".to_owned()),
        };
        if self.name(element) != "ID" {
            return Err(format!("<{}> stands where <ID> is expected", self.name(element)));
        }
        let id = self.text(element).trim().to_owned();
        if id.is_empty() {
            return Err("<ID> needs a value".to_owned());
        }
        Ok((kind, id))
    }

    fn concurrency(&self, element: NodeId, limits: &mut Limits) -> Result<(), String> {
        match self.name(element) {
            "MaximumConcurrentAccess" => {
                let text = self.text(element);
                match text.trim().parse::<i32>() {
                    Ok(limit) => limits.concurrency = u32::try_from(limit).ok().filter(|limit| *limit > 0),
                    Err(_) => {
                        log::error!(target: "ThrottleFactory", "Invalid number for maximum concurrent access: {text}");
                    }
                }
                Ok(())
            }
            other => {
                Err(format!("Invalid throttle policy configuration : unexpected policy element with name {other}"))
            }
        }
    }
}

impl Limits {
    fn add(&mut self, (kind, id): (Kind, String), access: Access) {
        let callers = match kind {
            Kind::Address => self.by_address.get_or_insert_default(),
            Kind::Domain => self.by_domain.get_or_insert_default(),
            Kind::Role => return,
        };
        if id == OTHER {
            callers.other = Some(access);
            return;
        }
        let range: Vec<&str> = if kind == Kind::Address { id.split('-').map(str::trim).collect() } else { vec![&id] };
        let (first, last) = match range[..] {
            [first] => (first, None),
            [first, last] => (first, Some(last)),
            // MI takes no notice of what is no range.
            _ => return,
        };
        callers.named.retain(|caller| caller.id != first);
        callers.named.push(Caller { id: first.to_owned(), last: last.map(str::to_owned), access });
    }
}

impl Callers {
    /// Which entry an address falls under: itself, a range, its network (`10.0.0.*`), or all others.
    /// MI: `IPBaseThrottleConfiguration#getConfigurationKeyOfCaller`.
    pub(super) fn of_address(&self, address: &str) -> Option<(&str, Access)> {
        let address = address.trim();
        let in_range = |caller: &Caller| {
            let (net, host) = address.rsplit_once('.')?;
            let (first_net, first) = caller.id.rsplit_once('.')?;
            let (_, last) = caller.last.as_deref()?.rsplit_once('.')?;
            let host: u32 = host.parse().ok()?;
            (net == first_net && first.parse::<u32>().ok()? <= host && host <= last.parse::<u32>().ok()?).then_some(())
        };
        let network = address.rsplit_once('.').map(|(net, _)| format!("{net}.*"));
        self.named
            .iter()
            .find(|caller| caller.id == address)
            .or_else(|| self.named.iter().find(|caller| in_range(caller).is_some()))
            .or_else(|| self.named.iter().find(|caller| Some(&caller.id) == network.as_ref()))
            .map(|caller| (&*caller.id, caller.access))
            .or_else(|| self.others())
    }

    /// Which entry a host falls under: itself, a domain that it is in (`*.wso2.com`), or all others.
    /// MI: `DomainBaseThrottleConfiguration#getConfigurationKeyOfCaller`.
    pub(super) fn of_domain(&self, domain: &str) -> Option<(&str, Access)> {
        let mut rest = domain.trim();
        loop {
            let parent = match rest.split_once('.') {
                Some((first, parent)) if !first.is_empty() => Some(parent),
                _ => None,
            };
            let all = format!("*.{}", parent.unwrap_or(rest));
            let found = self
                .named
                .iter()
                .find(|caller| caller.id == rest)
                .or_else(|| self.named.iter().find(|caller| caller.id.ends_with(&all)));
            if let Some(caller) = found {
                return Some((&caller.id, caller.access));
            }
            rest = match parent {
                Some(parent) => parent,
                None => return self.others(),
            };
        }
    }

    fn others(&self) -> Option<(&str, Access)> {
        self.other.map(|access| (OTHER, access))
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Limits, Rate};

    fn parse(inside: &str) -> Result<Option<Limits>, String> {
        let xml = format!(
            "<wsp:Policy xmlns:wsp='http://schemas.xmlsoap.org/ws/2004/09/policy' \
             xmlns:t='http://www.wso2.org/products/wso2commons/throttle'>{inside}</wsp:Policy>"
        );
        let document = mi_xml::Document::parse(xml.into_bytes()).expect("well-formed");
        let root = document.root_element().expect("has a root");
        Limits::parse(&document, root, &|text| Ok(text.replace("$SYSTEM:count", "9")))
    }

    fn mediator(inside: &str) -> Result<Option<Limits>, String> {
        parse(&format!("<t:MediatorThrottleAssertion>{inside}</t:MediatorThrottleAssertion>"))
    }

    fn caller(kind: &str, id: &str, access: &str) -> String {
        format!("<wsp:Policy><t:ID t:type='{kind}'>{id}</t:ID><wsp:Policy>{access}</wsp:Policy></wsp:Policy>")
    }

    fn control(count: &str) -> String {
        format!(
            "<t:Control><wsp:Policy><t:MaximumCount>{count}</t:MaximumCount><t:UnitTime>1000</t:UnitTime>\
             <t:ProhibitTimePeriod wsp:Optional='true'>50\n </t:ProhibitTimePeriod></wsp:Policy></t:Control>"
        )
    }

    fn rate(count: i64) -> Access {
        Access::Limited(Rate { count, unit: 1000, prohibit: 50 })
    }

    #[test]
    fn callers_by_address() {
        let all = [
            "<t:MaximumConcurrentAccess>10</t:MaximumConcurrentAccess>".to_owned(),
            caller("IP", "other", &control("1")),
            caller("IP", "10.0.0.5 - 10.0.0.9", &control("2")),
            caller("IP", "10.0.0.7", "<t:Allow/>"),
            caller("IP", "10.0.1.*", "<t:Deny/>"),
        ];
        let limits = mediator(&all.concat()).expect("valid").expect("has the assertion");
        assert_eq!(limits.concurrency, Some(10));
        assert!(limits.by_domain.is_none());
        let callers = limits.by_address.expect("has addresses");
        for (address, expected) in [
            ("10.0.0.7", ("10.0.0.7", Access::Allowed)),
            ("10.0.0.6", ("10.0.0.5", rate(2))),
            ("10.0.0.10", ("other", rate(1))),
            ("10.0.1.10", ("10.0.1.*", Access::Denied)),
            ("::1", ("other", rate(1))),
        ] {
            assert_eq!(callers.of_address(address), Some(expected), "{address}");
        }
    }

    #[test]
    fn callers_by_domain() {
        let all = [caller("DOMAIN", "*.wso2.com", &control("$SYSTEM:count")), caller("DOMAIN", "a.org", "<t:Deny/>")];
        let callers = mediator(&all.concat()).expect("valid").and_then(|it| it.by_domain).expect("has domains");
        for (domain, expected) in [
            ("x.wso2.com", Some(("*.wso2.com", rate(9)))),
            ("y.x.wso2.com", Some(("*.wso2.com", rate(9)))),
            ("wso2.com", None),
            ("a.org", Some(("a.org", Access::Denied))),
            ("localhost", None),
        ] {
            assert_eq!(callers.of_domain(domain), expected, "{domain}");
        }
    }

    #[test]
    fn the_older_assertion() {
        let limits = parse(
            "<t:ThrottleAssertion><t:MaximumConcurrentAccess>1</t:MaximumConcurrentAccess>\
             <wsp:All><t:ID t:type='IP'>other</t:ID><wsp:ExactlyOne><wsp:All><t:MaximumCount>4</t:MaximumCount>\
             <t:UnitTime>1000</t:UnitTime><t:ProhibitTimePeriod>50</t:ProhibitTimePeriod></wsp:All>\
             <t:IsAllow>true</t:IsAllow></wsp:ExactlyOne></wsp:All></t:ThrottleAssertion>",
        );
        let limits = limits.expect("valid").expect("has the assertion");
        assert_eq!(limits.concurrency, Some(1));
        assert_eq!(limits.by_address.and_then(|it| it.of_address("1.1.1.1").map(|(_, access)| access)), Some(rate(4)));
    }

    #[test]
    fn policies_without_the_assertion_limit_nothing() {
        assert!(parse("").expect("valid").is_none());
        assert!(parse("<wsp:All><x xmlns='urn:x'/></wsp:All>").expect("valid").is_none());
        assert!(
            parse("<wsp:ExactlyOne><wsp:All><t:MediatorThrottleAssertion/></wsp:All></wsp:ExactlyOne>")
                .expect("valid")
                .is_some()
        );
    }

    #[test]
    fn what_is_wrong() {
        for (inside, part) in [
            (caller("HOST", "a", "<t:Allow/>"), "Unsupported throttle type : HOST"),
            (caller("IP", "", "<t:Allow/>"), "<ID> needs a value"),
            (caller("IP", "other", "<t:Perhaps/>"), "none of Allow, Deny and Control"),
            (caller("IP", "other", "<t:Control><wsp:Policy/></t:Control>"), "are Mandatory"),
            (
                caller("IP", "other", "<t:Control><wsp:Policy><t:UnitTime>x</t:UnitTime></wsp:Policy></t:Control>"),
                "<UnitTime>",
            ),
            ("<t:Maximum>1</t:Maximum>".to_owned(), "unexpected policy element with name Maximum"),
            ("<wsp:Policy><t:ID>other</t:ID></wsp:Policy>".to_owned(), "Type of Throttle"),
        ] {
            let error = mediator(&inside).err();
            assert!(error.as_ref().is_some_and(|text| text.contains(part)), "{inside} {error:?}");
        }
    }
}
