//! What is asked of a mailbox and what comes back, as JSON. The email connector writes the one and reads the other.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::NaiveDate;
use serde_json::{Value as Json, json};

use super::imap::Imap;
use super::pop3::Pop3;
use super::read::Mail;
use super::{MAX_MAIL, Server};

/// Most mails that one answer lists.
const MAX_LISTED: usize = 10_000;

/// Mails that are wanted. What is None does not matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    pub(super) deleted: Option<bool>,
    pub(super) seen: Option<bool>,
    pub(super) answered: Option<bool>,
    pub(super) recent: Option<bool>,
    /// Part of the subject.
    pub(super) subject: Option<String>,
    /// Part of the sender.
    pub(super) from: Option<String>,
    /// The whole Message-ID.
    pub(super) id: Option<String>,
    /// Days after which mails have come.
    pub(super) after: Vec<NaiveDate>,
    /// Days before which mails have come.
    pub(super) before: Vec<NaiveDate>,
}

impl Search {
    fn of(command: &Json) -> io::Result<Self> {
        let text = |name: &str| command[name].as_str().map(str::to_owned);
        let days = |name: &str| {
            let days = command[name].as_array().into_iter().flatten().filter_map(Json::as_str);
            days.map(|day| day.parse().map_err(io::Error::other)).collect::<io::Result<Vec<NaiveDate>>>()
        };
        Ok(Self {
            deleted: command["deleted"].as_bool(),
            seen: command["seen"].as_bool(),
            answered: command["answered"].as_bool(),
            recent: command["recent"].as_bool(),
            subject: text("subject"),
            from: text("from"),
            id: None,
            after: days("after")?,
            before: days("before")?,
        })
    }

    fn of_id(id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..Self::default() }
    }

    /// Does a mail of a server fit that cannot search? Such a server does not know when mails came, nor flags.
    fn fits(&self, mail: &Mail) -> bool {
        let has = |text: &Option<String>, in_it: Option<&str>| match text {
            Some(text) => in_it.is_some_and(|it| it.to_lowercase().contains(&text.to_lowercase())),
            None => true,
        };
        self.after.is_empty()
            && self.before.is_empty()
            && has(&self.subject, mail.subject.as_deref())
            && has(&self.from, mail.from.as_deref())
            && self.id.as_ref().is_none_or(|id| mail.id.as_ref() == Some(id))
    }

    fn is_plain(&self) -> bool {
        self.after.is_empty() && self.before.is_empty() && self.subject.is_none() && self.from.is_none()
    }
}

/// Carries out a command:
///
/// - `{"do": "list", "folder", "delete", "offset", "limit" (-1: all), …}` with what [`Search`] holds
///   -> `{"emails": […]}`, see [`Mail::brief`];
/// - `{"do": "read", "folder", "id"}` -> `{"email": …}`, see [`Mail::whole`];
/// - `{"do": "attachment", "folder", "id", "index"}` -> `{"name", "contentType", "content"}`, the content in Base64;
/// - `{"do": "mark", "folder", "id", "flag": "\\Seen" or "\\Deleted", "expunge"}` -> `{"done": true}`;
/// - `{"do": "expunge", "folder"}` -> `{"done": true}`.
///
/// A mail that is not there is `{"missing": n}` with the number of mails that have the id, an index that is not there
/// `{"wrong": why}`.
pub(super) async fn run(server: &Server, imap: bool, command: &Json) -> io::Result<Json> {
    if imap { over_imap(server, command).await } else { over_pop3(server, command).await }
}

fn text<'a>(command: &'a Json, name: &str) -> &'a str {
    command[name].as_str().unwrap_or_default()
}

/// The part of the mails that is wanted.
fn page(mails: Vec<u32>, command: &Json) -> io::Result<Vec<u32>> {
    let number = |name: &str| usize::try_from(command[name].as_i64().unwrap_or(-1)).ok();
    let (offset, limit) = (number("offset").unwrap_or(0), number("limit"));
    let limited = limit.unwrap_or(usize::MAX);
    // MI: an offset behind the end is no offset, and without a limit there is none. `EmailList#getPaginatedMessages`.
    let page: Vec<u32> = match limit {
        Some(_) if mails.len() >= offset => mails.into_iter().skip(offset).take(limited).collect(),
        _ => mails,
    };
    if page.len() > MAX_LISTED {
        let why = format!(
            "{} mails are more than {MAX_LISTED}, which is the limit of one list; set limit and offset",
            page.len()
        );
        return Err(io::Error::other(why));
    }
    Ok(page)
}

async fn over_imap(server: &Server, command: &Json) -> io::Result<Json> {
    let mut imap = Imap::open(server).await?;
    let result = in_folder(&mut imap, command).await;
    if result.is_ok() {
        imap.leave().await;
    }
    result
}

async fn in_folder(imap: &mut Imap, command: &Json) -> io::Result<Json> {
    let (action, delete) = (text(command, "do"), command["delete"].as_bool().unwrap_or(false));
    let reads_only = matches!(action, "read" | "attachment") || (action == "list" && !delete);
    let opened = imap.select(text(command, "folder"), reads_only).await;
    let opened = opened.map_err(|error| {
        io::Error::new(error.kind(), format!("Error while opening folder : {}. {error}", text(command, "folder")))
    })?;
    match action {
        "list" => {
            let mut search = Search::of(command)?;
            // MI: flags are not asked for where the folder keeps none, which is what most servers say of one that is opened for
            // reading only. `EmailList#getSearchTerm`.
            if opened.iter().any(|line| line.contains("[PERMANENTFLAGS ()]")) {
                (search.deleted, search.seen, search.answered, search.recent) = (None, None, None, None);
            }
            let wanted = page(imap.search(&search).await?, command)?;
            let mut emails = Vec::new();
            for id in &wanted {
                if let Some(bytes) = imap.mail(*id).await? {
                    emails.push(Mail::of(&bytes).brief(emails.len()));
                }
            }
            if delete {
                for id in wanted {
                    imap.flag(id, "\\Deleted").await?;
                }
                imap.expunge().await?;
            }
            Ok(json!({"emails": emails}))
        }
        "read" | "attachment" => match imap.search(&Search::of_id(text(command, "id"))).await?[..] {
            [id] => match imap.mail(id).await? {
                Some(bytes) => Ok(told(&Mail::of(&bytes), command)),
                None => Ok(json!({"missing": 0})),
            },
            ref other => Ok(json!({"missing": other.len()})),
        },
        "mark" => {
            let Some(id) = imap.search(&Search::of_id(text(command, "id"))).await?.first().copied() else {
                return Ok(json!({"missing": 0}));
            };
            imap.flag(id, if text(command, "flag") == "\\Seen" { "\\Seen" } else { "\\Deleted" }).await?;
            if command["expunge"].as_bool().unwrap_or(false) {
                imap.expunge().await?;
            }
            Ok(json!({"done": true}))
        }
        _ => imap.expunge().await.map(|()| json!({"done": true})),
    }
}

async fn over_pop3(server: &Server, command: &Json) -> io::Result<Json> {
    let folder = text(command, "folder");
    if !folder.eq_ignore_ascii_case("INBOX") {
        return Err(io::Error::other(format!("Error while opening folder : {folder}. POP3 has no folder but INBOX")));
    }
    let mut pop = Pop3::open(server).await?;
    let result = match text(command, "do") {
        "list" => listed(&mut pop, command).await?,
        "read" | "attachment" => match with_id(&mut pop, text(command, "id")).await?[..] {
            [number] => told(&Mail::of(&pop.mail(number, false).await?), command),
            ref other => json!({"missing": other.len()}),
        },
        "mark" => match with_id(&mut pop, text(command, "id")).await?.first() {
            None => json!({"missing": 0}),
            Some(number) => {
                // MI: flags do not outlive the connection, and what is not expunged stays. JavaMail's `POP3Folder#close`.
                if text(command, "flag") == "\\Deleted" && command["expunge"].as_bool().unwrap_or(false) {
                    pop.delete(*number).await?;
                }
                json!({"done": true})
            }
        },
        _ => json!({"done": true}),
    };
    pop.quit().await?;
    Ok(result)
}

async fn listed(pop: &mut Pop3, command: &Json) -> io::Result<Json> {
    let search = Search::of(command)?;
    let mut numbers = pop.numbers().await?;
    if !search.is_plain() {
        let mut fitting = Vec::new();
        for number in numbers {
            if search.fits(&Mail::of(&pop.mail(number, true).await?)) {
                fitting.push(number);
            }
        }
        numbers = fitting;
    }
    let wanted = page(numbers, command)?;
    let mut emails = Vec::new();
    for number in &wanted {
        emails.push(Mail::of(&pop.mail(*number, false).await?).brief(emails.len()));
    }
    if command["delete"].as_bool().unwrap_or(false) {
        for number in wanted {
            pop.delete(number).await?;
        }
    }
    Ok(json!({"emails": emails}))
}

async fn with_id(pop: &mut Pop3, id: &str) -> io::Result<Vec<u32>> {
    let search = Search::of_id(id);
    let mut found = Vec::new();
    for number in pop.numbers().await? {
        if search.fits(&Mail::of(&pop.mail(number, true).await?)) {
            found.push(number);
        }
    }
    Ok(found)
}

/// What the command wants to know of a mail.
fn told(mail: &Mail, command: &Json) -> Json {
    if text(command, "do") == "read" {
        return json!({"email": mail.whole()});
    }
    if mail.attachments.is_empty() {
        return json!({"wrong": "There are no attachments in the email."});
    }
    let index = command["index"].as_u64().and_then(|index| usize::try_from(index).ok());
    let Some(attachment) = index.and_then(|index| mail.attachments.get(index)) else {
        return json!({"wrong": "Invalid index set for attachment index."});
    };
    debug_assert!(attachment.content.len() <= MAX_MAIL, "it came in a mail");
    json!({
        "name": attachment.name,
        "contentType": attachment.content_type,
        "content": BASE64.encode(&attachment.content),
    })
}
