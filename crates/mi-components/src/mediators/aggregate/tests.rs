use super::*;
use crate::testing::{Flowing, Outcome, log_lines};

/// Splits by an expression and aggregates in the target; `onComplete` logs the result.
fn split(iterate: &str, aggregate: &str, on_complete: &str, body: &str) -> (Vec<String>, Outcome) {
    let log = if body.starts_with('<') { "$body/*" } else { "json-eval($)" };
    let xml = format!(
        "<rules><property name='wrap'><all/></property><iterate {iterate}><target><sequence><aggregate {aggregate}\
         <onComplete {on_complete}><log level='custom'><property name='result' expression='{log}'/></log></onComplete></aggregate>\
         <log level='custom'><property name='behind' expression='{log}'/></log></sequence></target></iterate></rules>"
    );
    let mut outcome = None;
    let lines = log_lines(|| {
        let flowing = Flowing::of(&xml);
        outcome = Some(if body.starts_with('<') { flowing.xml(body) } else { flowing.json(body) }.run());
    });
    let lines = lines.iter().map(|line| line.trim_start_matches("INFO LogMediator ").to_owned()).collect();
    (lines, outcome.expect("it ran"))
}

#[track_caller]
fn check(iterate: &str, aggregate: &str, on_complete: &str, body: &str, expected: &[&str]) {
    assert_eq!(split(iterate, aggregate, on_complete, body).0, expected);
}

const NUMBERS: &str = "<o><n>1</n><n>2</n><n>3</n></o>";
const EACH: &str = "expression='//n' sequential='true'";

#[test]
fn elements_stand_side_by_side() {
    let all = "<n>1</n><n>2</n><n>3</n>";
    check(EACH, ">", "expression='//n'", NUMBERS, &[&format!("result = {all}"), &format!("behind = {all}")]);
    check(EACH, ">", "", NUMBERS, &[&format!("result = {all}"), &format!("behind = {all}")]);
    let wrapped = format!("<all>{all}</all>");
    check(
        EACH,
        ">",
        "enclosingElementProperty='wrap'",
        NUMBERS,
        &[&format!("result = {wrapped}"), &format!("behind = {wrapped}")],
    );
}

#[test]
fn parts_in_parallel_are_all_there() {
    let (lines, _) = split("expression='//n'", ">", "expression='//n'", NUMBERS);
    assert_eq!(lines.len(), 2);
    for part in ["<n>1</n>", "<n>2</n>", "<n>3</n>"] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
}

#[test]
fn the_minimum_completes_and_later_parts_are_dropped() {
    let two = "<n>1</n><n>2</n>";
    let count = "><completeCondition><messageCount min='2'/></completeCondition>";
    check(EACH, count, "", NUMBERS, &[&format!("result = {two}"), &format!("behind = {two}")]);
    let no_limit = "><completeCondition><messageCount min='-1' max='0'/></completeCondition>";
    let all = "<n>1</n><n>2</n><n>3</n>";
    check(EACH, no_limit, "", NUMBERS, &[&format!("result = {all}"), &format!("behind = {all}")]);
}

#[test]
fn time_completes_what_is_there() {
    let count = "><completeCondition timeout='5'><messageCount min='9'/></completeCondition>";
    // One part is dropped, so that the others wait in vain.
    let xml = format!(
        "<iterate {EACH}><target><sequence><filter xpath='//n = 2'><drop/></filter><aggregate {count}<onComplete>\
         <log level='custom'><property name='result' expression='$body/*'/></log></onComplete></aggregate></sequence></target></iterate>"
    );
    let lines = log_lines(|| {
        Flowing::of(&xml).xml(NUMBERS).run_for(std::time::Duration::from_secs(6));
    });
    assert_eq!(lines, ["INFO LogMediator result = <n>1</n><n>3</n>"]);
}

const JSON: &str = r#"{"l":[{"n":1},{"n":2}]}"#;
const EACH_JSON: &str = "expression='json-eval($.l)' sequential='true'";

#[test]
fn json_values_become_an_array_or_an_object() {
    let list = r#"[{"n":1},{"n":2}]"#;
    check(
        EACH_JSON,
        ">",
        "expression='json-eval($)'",
        JSON,
        &[&format!("result = {list}"), &format!("behind = {list}")],
    );
    let object = r#"{"n":[1,2]}"#;
    check(
        EACH_JSON,
        ">",
        "expression='json-eval($)' aggregateElementType='child'",
        JSON,
        &[&format!("result = {object}"), &format!("behind = {object}")],
    );
    let wrapped = r#"{"all":[1,2]}"#;
    check(
        EACH_JSON,
        ">",
        "expression='json-eval($.n)' enclosingElementProperty='wrap'",
        JSON,
        &[&format!("result = {wrapped}"), &format!("behind = {wrapped}")],
    );
}

#[test]
fn other_ids_pass() {
    check("id='a' expression='//n' sequential='true'", "id='b'>", "", "<o><n>1</n></o>", &["behind = 1"]);
    check("id='a' expression='//n' sequential='true'", "id='a'>", "", "<o><n>1</n></o>", &["result = 1", "behind = 1"]);
}

#[test]
fn what_cannot_be_merged_is_a_fault_of_the_last_part() {
    let xml = format!(
        "<iterate {EACH}><target><sequence onError='failed'><log level='custom'><property name='part' expression='//n'/>\
         </log><aggregate><onComplete expression='//none'><log level='custom'><property name='result' value='1'/></log>\
         </onComplete></aggregate></sequence></target></iterate>"
    );
    let failed = "<log level='custom'><property name='failed' expression='//n'/></log>";
    let lines = log_lines(|| {
        Flowing::of(&xml).sequence("failed", failed).xml(NUMBERS).run();
    });
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_start_matches("INFO LogMediator ")).collect();
    assert_eq!(lines, ["part = 1", "part = 2", "part = 3", "failed = 3"]);
}

#[test]
fn nothing_waits_for_a_group_that_is_complete() {
    let with = |count: &str| {
        let xml = format!(
            "<iterate {EACH}><target><sequence><aggregate><completeCondition timeout='600'><messageCount min='{count}'/>\
             </completeCondition><onComplete/></aggregate></sequence></target></iterate>"
        );
        Flowing::of(&xml).xml(NUMBERS).run().tasks_left()
    };
    assert_eq!(with("2"), 0);
    // The time-out of a group without its last part.
    let open = "<iterate expression='//n'><target><sequence><filter xpath='//n = 2'><drop/></filter><aggregate>\
        <completeCondition timeout='600'/><onComplete/></aggregate></sequence></target></iterate>";
    assert_eq!(Flowing::of(open).xml(NUMBERS).run().tasks_left(), 1);
}

/// A late part finds that its group is complete in the same moment in which the group is gone.
#[test]
fn a_group_is_remembered_when_it_goes() {
    let marks = Marks::new(None);
    let mut state = State::default();
    let correlation: Arc<str> = "c".into();
    state.begin(&correlation, (1, 0)).expect("room");
    let mut part = context();
    part.message.properties.set("EIP_SHARED_DATA_HOLDER", "h");
    let messages = state.add(&correlation, &mut part, &marks).expect("room").expect("complete");
    assert_eq!(messages.len(), 1);
    assert!(!state.groups.contains_key(&correlation) && state.is_completed(Some(&"h".into())));
}

#[test]
fn a_group_does_not_grow_for_ever() {
    let marks = Marks::new(None);
    let mut state = State::default();
    let correlation: Arc<str> = "c".into();
    state.begin(&correlation, (0, 0)).expect("room");
    let mut part = context();
    for _ in 0..MAX_MESSAGES {
        assert!(state.add(&correlation, &mut part, &marks).expect("room").is_none());
    }
    let fault = state.add(&correlation, &mut part, &marks).expect_err("no room");
    assert!(fault.message.contains("100000 messages, which is the limit"), "{}", fault.message);
}

fn context() -> Context {
    crate::testing::context(Flowing::of("<drop/>").deploy().snapshot().clone())
}

#[test]
fn wrong_configurations_are_refused() {
    assert!(Flowing::error_of("<aggregate/>").contains("needs an <onComplete>"));
}

#[test]
fn what_is_collected_is_completed_by_the_next_deployment() {
    let flow = || {
        Flowing::of(
            "<aggregate><completeCondition><messageCount min='2'/></completeCondition><onComplete expression='//n'>\
             <log level='custom'><property name='result' expression='$body/*'/></log></onComplete></aggregate>",
        )
    };
    let part = |number: u32| {
        let document = mi_xml::Document::parse(format!("<n>{number}</n>").into_bytes()).expect("well-formed");
        let mut message = Message::new();
        message.body = mi_message::Body::from_envelope(mi_message::Envelope::from_document(
            document,
            mi_message::SoapVersion::Soap11,
        ));
        let marks = Marks::new(None);
        message.properties.set(marks.correlation.clone(), "one");
        message
    };
    let lines = log_lines(|| {
        let before = flow().deploy();
        before.send(part(1));
        let next = flow().sequence("other", "<drop/>").deploy_after(&before);
        drop(before);
        next.send(part(2));
    });
    assert_eq!(lines, ["INFO LogMediator result = <n>1</n><n>2</n>"]);
}
