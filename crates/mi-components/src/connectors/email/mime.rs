//! Mails as text: header, content, attachments (RFC 5322, 2045 to 2047). MI: `MessageBuilder` of the email connector.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;

/// A mail before it is written.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) from: String,
    pub(super) personal_name: Option<String>,
    pub(super) to: Option<String>,
    pub(super) cc: Option<String>,
    pub(super) bcc: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) subject: String,
    pub(super) content: String,
    pub(super) content_type: String,
    pub(super) charset: String,
    /// How content and attachments are written: `base64`, `quoted-printable`, `8bit`, `7bit`.
    pub(super) transfer: String,
    /// Header fields beside those of any mail.
    pub(super) headers: Vec<(String, String)>,
    pub(super) attached: Vec<Attached>,
}

/// An attachment, or an image that the content shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) name: String,
    pub(super) content_type: String,
    /// `<img src="cid:…">`
    pub(super) content_id: Option<String>,
    /// Where the data is to be read.
    pub(super) file: Option<String>,
    pub(super) data: Vec<u8>,
}

/// `a.txt,b.pdf`, or `[{"name": "a.txt", "content": "text or base64"}]`.
pub(super) fn attachments(list: &str) -> Result<Vec<Attached>, String> {
    if !list.starts_with('[') {
        return Ok(list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(from_file).collect());
    }
    let wrong = || "Invalid JSON data format.".to_owned();
    let Ok(Json::Array(items)) = serde_json::from_str(list) else { return Err(wrong()) };
    let attached = items.iter().map(|item| {
        let (name, content) = (item.get("name")?.as_str()?, item.get("content")?.as_str()?);
        let data = BASE64.decode(content).unwrap_or_else(|_| content.as_bytes().to_vec());
        Some(Attached {
            name: name.to_owned(),
            content_type: type_of(name).to_owned(),
            content_id: None,
            file: None,
            data,
        })
    });
    attached.collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

fn from_file(path: &str) -> Attached {
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let content_type = type_of(&name).to_owned();
    Attached { name, content_type, content_id: None, file: Some(path.to_owned()), data: Vec::new() }
}

/// `[{"contentID": "logo", "filePath": "/a.png"}, {"contentID": "b", "fileName": "b.png", "base64Content": "…"}]`
pub(super) fn inline_images(list: &str) -> Result<Vec<Attached>, String> {
    let wrong = |what: &str| format!("Invalid JSON data format for inline {what}.");
    let Ok(Json::Array(items)) = serde_json::from_str(list) else { return Err(wrong("images")) };
    let image = |item: &Json| {
        let text = |name: &str| item.get(name).and_then(Json::as_str).map(str::to_owned);
        let content_id = Some(text("contentID").ok_or_else(|| wrong("image"))?);
        if let Some(path) = text("filePath") {
            return Ok(Attached { content_id, content_type: image_type(&path), ..from_file(&path) });
        }
        let Some(content) = text("base64Content") else {
            let why = "Mandatory parameters 'filePath' or 'base64Content' are not set for inline image.";
            return Err(why.to_owned());
        };
        let name = text("fileName").ok_or_else(|| wrong("image"))?;
        let data = BASE64.decode(content.trim()).map_err(|_| wrong("image"))?;
        Ok(Attached { content_type: image_type(&name), name, content_id, file: None, data })
    };
    items.iter().map(image).collect()
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

fn image_type(name: &str) -> String {
    let extension: String = extension(name).chars().filter(char::is_ascii_alphanumeric).collect();
    format!("image/{extension}")
}

fn type_of(name: &str) -> &'static str {
    match extension(name).as_str() {
        "txt" | "log" => "text/plain",
        "htm" | "html" => "text/html",
        "csv" => "text/csv",
        "xml" | "xsd" | "wsdl" => "application/xml",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "doc" => "application/msword",
        "xls" => "application/vnd.ms-excel",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}

impl Mail {
    /// Sender and recipients without their names.
    pub(super) fn envelope(&self) -> Result<(String, Vec<String>), String> {
        let from = bare(&self.from).ok_or_else(|| format!("'{}' is no mail address", self.from))?;
        let lists = [&self.to, &self.cc, &self.bcc].into_iter().flatten();
        let each = lists.flat_map(|list| split(list));
        let each = each.map(|one| bare(one).ok_or_else(|| format!("'{one}' is no mail address")));
        Ok((from, each.collect::<Result<_, _>>()?))
    }

    /// The mail as it goes over the wire; `now` in milliseconds, `id` unique.
    pub(super) fn compose(&self, now: i64, id: &str) -> Result<Vec<u8>, String> {
        let mut out = String::new();
        let mut field = |name: &str, value: &str| out += &format!("{name}: {}\r\n", value.replace(['\r', '\n'], " "));
        let date = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
        field("Date", &date.to_rfc2822());
        match &self.personal_name {
            Some(name) if !name.trim().is_empty() => {
                let address = bare(&self.from).unwrap_or_default();
                out += &format!("From: {} <{address}>\r\n", phrase(name.trim()));
            }
            _ => out += &format!("From: {}\r\n", addresses(&self.from)),
        }
        for (name, list) in [("Reply-To", &self.reply_to), ("To", &self.to), ("Cc", &self.cc)] {
            if let Some(list) = list {
                out += &format!("{name}: {}\r\n", addresses(list));
            }
        }
        out += &format!("Message-ID: <{id}@localhost>\r\n");
        if !self.subject.is_empty() {
            out += &format!("Subject: {}\r\n", words(&self.subject.replace(['\r', '\n'], " ")));
        }
        out += "MIME-Version: 1.0\r\n";
        for (name, value) in &self.headers {
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
                out += &format!("{name}: {}\r\n", words(&value.replace(['\r', '\n'], " ")));
            }
        }
        let mut out = out.into_bytes();
        if self.attached.is_empty() {
            self.write_content(&mut out)?;
            return Ok(out);
        }
        let boundary = format!("----=_Part_{id}");
        out.extend_from_slice(
            format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n").as_bytes(),
        );
        self.write_content(&mut out)?;
        for attached in &self.attached {
            out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            self.write_attached(attached, &mut out)?;
        }
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Ok(out)
    }

    fn write_content(&self, out: &mut Vec<u8>) -> Result<(), String> {
        let (kind, charset) = (one_line(&self.content_type), one_line(&self.charset));
        let bytes = match charset.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => self.content.clone().into_bytes(),
            "US-ASCII" | "ASCII" | "ISO-8859-1" => {
                let byte = |letter: char| u8::try_from(u32::from(letter)).unwrap_or(b'?');
                self.content.chars().map(byte).collect()
            }
            _ => return Err(format!("the encoding {charset} is not supported for mails; use UTF-8")),
        };
        let head = format!(
            "Content-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: {}\r\nContent-Disposition: inline\r\n\r\n",
            one_line(&self.transfer)
        );
        out.extend_from_slice(head.as_bytes());
        encode(&bytes, &self.transfer, out)
    }

    fn write_attached(&self, attached: &Attached, out: &mut Vec<u8>) -> Result<(), String> {
        let name = phrase(&one_line(&attached.name));
        let name = if name.starts_with(['"', '=']) { name } else { format!("\"{name}\"") };
        let (place, transfer) = match &attached.content_id {
            Some(id) => (format!("Content-ID: <{}>\r\nContent-Disposition: inline", one_line(id)), "base64"),
            None => ("Content-Disposition: attachment".to_owned(), self.transfer.as_str()),
        };
        let head = format!(
            "Content-Type: {}\r\nContent-Transfer-Encoding: {}\r\n{place}; filename={name}\r\n\r\n",
            attached.content_type,
            one_line(transfer)
        );
        out.extend_from_slice(head.as_bytes());
        encode(&attached.data, transfer, out)
    }
}

/// The addresses of a list; a comma in a quoted name separates nothing.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = list.split(move |letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    });
    parts.map(str::trim).filter(|it| !it.is_empty())
}

/// `kim@x` of `Kim <kim@x>`.
fn bare(address: &str) -> Option<String> {
    let inner = match address.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>')?,
        None => address.trim(),
    };
    let good = !inner.is_empty() && inner.chars().all(|it| !it.is_control() && !" <>,;\"".contains(it));
    good.then(|| inner.to_owned())
}

/// A list for the header: names that are not ASCII are encoded.
fn addresses(list: &str) -> String {
    let each = split(list).map(|one| match one.rsplit_once('<') {
        Some((name, rest)) if !name.trim().is_empty() => {
            format!("{} <{}", phrase(name.trim().trim_matches('"')), one_line(rest))
        }
        _ => one_line(one),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A name before an address, or of a file.
fn phrase(name: &str) -> String {
    if !name.is_ascii() {
        return words(name);
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(letter);
    let name = one_line(name);
    if name.chars().all(plain) {
        return name;
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Text of a header field, as encoded words when it is not ASCII.
fn words(text: &str) -> String {
    if text.is_ascii() {
        return one_line(text);
    }
    let mut chunks = vec![String::new()];
    for letter in text.chars() {
        if chunks.last().is_some_and(|chunk| chunk.len() + letter.len_utf8() > 45) {
            chunks.push(String::new());
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(letter);
        }
    }
    let words = chunks.iter().map(|chunk| format!("=?UTF-8?B?{}?=", BASE64.encode(chunk)));
    words.collect::<Vec<_>>().join("\r\n ")
}

fn one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

fn encode(bytes: &[u8], transfer: &str, out: &mut Vec<u8>) -> Result<(), String> {
    match transfer.to_ascii_lowercase().as_str() {
        "base64" => {
            for line in BASE64.encode(bytes).as_bytes().chunks(76) {
                out.extend_from_slice(line);
                out.extend_from_slice(b"\r\n");
            }
        }
        "quoted-printable" => quoted_printable(bytes, out),
        "7bit" | "8bit" | "binary" => {
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        _ => return Err(format!("the transfer encoding '{transfer}' is not known; use Base64 or quoted-printable")),
    }
    Ok(())
}

fn quoted_printable(bytes: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'\n' || (*byte == b'\r' && tail.first() == Some(&b'\n')) {
            rest = if *byte == b'\r' { &tail[1..] } else { tail };
            out.extend_from_slice(b"\r\n");
            column = 0;
            continue;
        }
        let ends = matches!(tail.first(), None | Some(b'\r' | b'\n'));
        let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (*byte == b' ' && !ends);
        let width = if plain { 1 } else { 3 };
        if column + width > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        column += width;
    }
    out.extend_from_slice(b"\r\n");
}
