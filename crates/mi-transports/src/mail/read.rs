//! Mails as they are read: addresses, subject, text, HTML, attachments. MI: `EmailMessage` of the email connector, on
//! `MimeMessageParser` of commons-email.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Address, Encoding, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use serde_json::{Value as Json, json};

/// A mail with its parts.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// `Message-ID` with its angle brackets.
    pub(super) id: Option<String>,
    pub(super) subject: Option<String>,
    /// The bare address of the first sender.
    pub(super) from: Option<String>,
    to: String,
    cc: String,
    bcc: String,
    reply_to: Option<String>,
    text: Option<String>,
    html: Option<String>,
    pub(super) attachments: Vec<Attachment>,
}

/// What is neither the text nor the HTML.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) name: Option<String>,
    /// Without parameters.
    pub(super) content_type: String,
    pub(super) content: Vec<u8>,
}

impl Mail {
    /// Reads a mail. Bytes that are no mail give an empty one.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let Some(message) = MessageParser::default().parse(bytes) else { return Self::default() };
        let from = first(message.from());
        let mut mail = Self {
            id: message.message_id().map(|id| format!("<{id}>")),
            subject: message.subject().map(str::to_owned),
            // MI: answers go to the sender when the mail does not say otherwise. `MimeMessage#getReplyTo`.
            reply_to: first(message.reply_to()).or_else(|| from.clone()),
            from,
            to: addresses(message.to()),
            cc: addresses(message.cc()),
            bcc: addresses(message.bcc()),
            ..Self::default()
        };
        let mut open = vec![0_usize];
        // A part is at one place only, so no more parts are seen than there are.
        for _ in 0..message.parts.len() {
            let Some(part) = open.pop().and_then(|index| message.parts.get(index)) else { break };
            match &part.body {
                PartType::Multipart(inside) => open.extend(inside.iter().rev().map(|index| *index as usize)),
                _ => mail.add(&message, part),
            }
        }
        mail
    }

    fn add(&mut self, message: &Message<'_>, part: &MessagePart<'_>) {
        let attached = part.content_disposition().is_some_and(|it| it.ctype().eq_ignore_ascii_case("attachment"));
        match &part.body {
            PartType::Text(text) if !attached && self.text.is_none() && is(part, "plain") => {
                self.text = Some(text.to_string());
            }
            PartType::Html(html) if !attached && self.html.is_none() => self.html = Some(html.to_string()),
            _ => self.attachments.push(Attachment {
                name: part.attachment_name().map(str::to_owned),
                content_type: content_type(part),
                content: content(message, part),
            }),
        }
    }

    /// What a list tells of the mail: `index`, `emailId`, `to`, `from`, `cc`, `bcc`, `replyTo`, `subject`, and `attachments`
    /// (`index`, `name`, `contentType`) when there are any.
    pub(super) fn brief(&self, index: usize) -> Json {
        let mut brief = json!({"index": index, "emailId": self.id, "to": self.to, "from": self.from, "cc": self.cc,
            "bcc": self.bcc, "replyTo": self.reply_to, "subject": self.subject});
        let attachment = |(index, it): (usize, &Attachment)| json!({"index": index, "name": it.name, "contentType": it.content_type});
        if !self.attachments.is_empty() {
            brief["attachments"] = self.attachments.iter().enumerate().map(attachment).collect();
        }
        brief
    }

    /// The mail with `htmlContent` and `textContent`.
    pub(super) fn whole(&self) -> Json {
        json!({"emailId": self.id, "to": self.to, "from": self.from, "cc": self.cc, "bcc": self.bcc,
            "subject": self.subject, "replyTo": self.reply_to, "htmlContent": self.html, "textContent": self.text})
    }
}

/// Is it `text/` and this? What has no type is plain text.
fn is(part: &MessagePart<'_>, subtype: &str) -> bool {
    part.content_type().is_none_or(|it| it.subtype().is_none_or(|it| it.eq_ignore_ascii_case(subtype)))
}

fn content_type(part: &MessagePart<'_>) -> String {
    match part.content_type() {
        Some(it) => match it.subtype() {
            Some(subtype) => format!("{}/{subtype}", it.ctype()),
            None => it.ctype().to_owned(),
        },
        None => "text/plain".to_owned(),
    }
}

/// The bytes of a part. Text stays in the character set that it came in.
fn content(message: &Message<'_>, part: &MessagePart<'_>) -> Vec<u8> {
    let raw = || {
        let range = part.offset_body as usize..part.offset_end as usize;
        message.raw_message.get(range).unwrap_or_default()
    };
    match (&part.body, part.encoding) {
        (PartType::Binary(bytes) | PartType::InlineBinary(bytes), _) => bytes.to_vec(),
        (_, Encoding::Base64) => base64_decode(raw()).unwrap_or_default(),
        (_, Encoding::QuotedPrintable) => quoted_printable_decode(raw()).unwrap_or_default(),
        (_, Encoding::None) => raw().to_vec(),
    }
}

fn first(addresses: Option<&Address<'_>>) -> Option<String> {
    addresses?.first()?.address().map(str::to_owned)
}

/// The addresses with their names, as `InternetAddress#toString` writes them.
fn addresses(addresses: Option<&Address<'_>>) -> String {
    let Some(addresses) = addresses else { return String::new() };
    let shown = addresses.iter().filter_map(|it| {
        let address = it.address()?;
        Some(match it.name() {
            Some(name) => format!("{} <{address}>", phrase(name)),
            None => address.to_owned(),
        })
    });
    shown.collect::<Vec<_>>().join(",")
}

fn phrase(name: &str) -> String {
    if !name.is_ascii() {
        return format!("=?UTF-8?B?{}?=", BASE64.encode(name));
    }
    if name.chars().any(|it| it.is_control() || "\"\\()<>@,;:.[]".contains(it)) {
        return format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "Message-ID: <1@x>\r\nFrom: Kim <kim@x>\r\nTo: \"B, Bo\" <b@x>, c@x\r\nSubject: =?UTF-8?Q?=C3=84pfel?=\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
        Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nf=FCr\r\n--i\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--i--\r\n\
        --o\r\nContent-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment; filename=\"a.csv\"\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n/SwxCg==\r\n--o\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--o--\r\n";

    #[test]
    fn a_mail_with_parts() {
        let mail = Mail::of(MAIL.as_bytes());
        assert_eq!(
            mail.brief(3),
            json!({"index": 3, "emailId": "<1@x>", "to": "\"B, Bo\" <b@x>,c@x", "from": "kim@x", "cc": "", "bcc": "",
                "replyTo": "kim@x", "subject": "Äpfel", "attachments": [
                    {"index": 0, "name": "a.csv", "contentType": "text/csv"},
                    {"index": 1, "name": null, "contentType": "application/pdf"}]})
        );
        let whole = mail.whole();
        assert_eq!((whole["textContent"].as_str(), whole["htmlContent"].as_str()), (Some("für"), Some("<b>x</b>")));
        assert_eq!(mail.attachments[0].content, b"\xfd,1\n");
        assert_eq!(mail.attachments[1].content, b"%PDF");
    }

    #[test]
    fn what_is_hardly_a_mail() {
        assert_eq!(Mail::of(b"").whole()["from"], Json::Null);
        let mail = Mail::of(b"Subject: s\r\n\r\nhello\r\n");
        assert_eq!((mail.text.as_deref(), mail.attachments.len()), (Some("hello\r\n"), 0));
    }
}
