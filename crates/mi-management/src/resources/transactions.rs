//! `/transactions/count` and `/transactions/report`: nothing is counted for a subscription here, which MI says in these words when
//! its counter is off. MI: `RequestCountResource`.

use http::StatusCode;
use mi_engine::transport::HttpReply;

use crate::answer;
use crate::context::ManagementContext;
use crate::request::Request;

pub(super) fn handle(_: &ManagementContext, request: &Request) -> HttpReply {
    let command = request.tail.as_deref().unwrap_or_default();
    let wrong = match command.to_ascii_lowercase().as_str() {
        "count" => count(request),
        "report" => report(request),
        _ => Some(format!("No such resource as management/transactions/{command}")),
    };
    match wrong {
        Some(why) => answer::bad(why),
        None => answer::error(StatusCode::FORBIDDEN, "Transaction Count Handler component is not initialized"),
    }
}

/// What is wrong with a question for a month.
fn count(request: &Request) -> Option<String> {
    let filled = |name: &str| request.query(name).filter(|text| !text.is_empty());
    let (year, month) = match (filled("year"), filled("month")) {
        (None, None) => return None,
        (Some(year), Some(month)) => (year.parse::<i32>().is_ok(), month.parse::<i32>().is_ok()),
        _ => return Some("Either both \"year\" and \"month\" arguments or none should be specified.".to_owned()),
    };
    match (year, month) {
        (true, true) => None,
        (false, false) => Some("Invalid inputs for arguments \"year\" and \"month\".".to_owned()),
        (false, true) => Some("Invalid input for argument \"year\".".to_owned()),
        (true, false) => Some("Invalid input for argument \"month\".".to_owned()),
    }
}

/// What is wrong with a question for months, `yyyy-MM`.
fn report(request: &Request) -> Option<String> {
    let is_month = |text: &str| chrono::NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").is_ok();
    match (request.query("start").unwrap_or_default(), request.query("end").unwrap_or_default()) {
        ("", _) => Some("Argument \"start\" cannot be empty".to_owned()),
        (start, _) if !is_month(start) => Some("Invalid input for argument \"start\"".to_owned()),
        (_, end) if !end.is_empty() && !is_month(end) => Some("Invalid input for argument \"end\"".to_owned()),
        _ => None,
    }
}
