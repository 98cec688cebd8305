//! The dashboard: three files in the program, served beside the API that they ask. They need nothing from outside, and
//! whoever reads them must log in before the API tells them anything.

use http::{Method, StatusCode};
use mi_engine::transport::{HttpReply, Payload};

use crate::answer;

/// Path, content type, content.
const FILES: [(&str, &str, &str); 3] = [
    ("/dashboard", "text/html; charset=utf-8", include_str!("dashboard/index.html")),
    ("/dashboard/style.css", "text/css; charset=utf-8", include_str!("dashboard/style.css")),
    ("/dashboard/app.js", "text/javascript; charset=utf-8", include_str!("dashboard/app.js")),
];

/// Only what comes from here runs or is shown, and nobody shows it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The answer to a request for one of the files.
pub(crate) fn answer(method: &Method, target: &str) -> Option<HttpReply> {
    let path = target.split('?').next().unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    let (_, kind, content) = FILES.iter().find(|(known, _, _)| *known == path)?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Some(answer::bare(StatusCode::METHOD_NOT_ALLOWED));
    }
    let mut reply = HttpReply::new(StatusCode::OK);
    for (name, value) in [
        ("Content-Type", *kind),
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        // A newer server has a newer page.
        ("Cache-Control", "no-cache"),
    ] {
        reply.headers.set(name, value);
    }
    reply.body = Payload::Bytes(content.as_bytes().into());
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_files_that_are_there() {
        let page = FILES[0].2;
        for name in page.split("=\"/").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()) {
            assert!(answer(&Method::GET, &format!("/{name}")).is_some(), "{name}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing comes from outside");
    }

    #[test]
    fn what_is_hidden_is_not_shown_by_its_layout() {
        // Any `display` of the style sheet is stronger than the attribute alone.
        assert!(FILES[1].2.contains("[hidden] { display: none !important; }"));
    }

    #[test]
    fn other_paths_and_methods_get_nothing() {
        assert!(answer(&Method::GET, "/dashboard/?x").is_some());
        assert!(answer(&Method::GET, "/dashboards").is_none() && answer(&Method::GET, "/dashboard/../x").is_none());
        assert_eq!(answer(&Method::POST, "/dashboard").map(|it| it.status), Some(StatusCode::METHOD_NOT_ALLOWED));
    }
}
