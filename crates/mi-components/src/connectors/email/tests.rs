//! Mails as they reach the transport.

use crate::connectors::built_in::BUILT_IN;
use crate::testing::{Flowing, Outcome};

const CONNECTION: &str = "<host>mail.test</host><port>2525</port><name>c</name>";

/// Sends a mail with these parameters over a connection with these.
fn send(connection: &str, parameters: &str) -> Outcome {
    run("send", connection, parameters, "{}")
}

/// Runs an operation against a back end that answers this.
fn run(operation: &str, connection: &str, parameters: &str, answer: &str) -> Outcome {
    let mut flowing = Flowing::of(&format!("<email.{operation} configKey='c'>{parameters}</email.{operation}>"))
        .answer("application/json", answer)
        .local_entry("c", &format!("<email.init>{CONNECTION}{connection}</email.init>"))
        .json(r#"{"id": 7}"#)
        .with(|message| message.properties.set("EMAIL-HEADER:X-Order", "8"));
    let connector = BUILT_IN.iter().find(|it| it.name == "email").expect("it is built in");
    for text in connector.sources() {
        flowing = flowing.template(&text.replacen("name=\"", "name=\"email.", 1));
    }
    crate::testing::set_clock(0);
    flowing.run()
}

const PARAMETERS: &str = "<from>a@x</from><personalName>Änne</personalName><to>Kim \"K\" &lt;b@x>, c@x</to><bcc>d@x</bcc>\
    <subject>Order ${payload.id} für Kim</subject><content>Hello ${payload.id} ä</content>\
    <responseVariable>r</responseVariable>";

const PLAIN: &str = "<connectionType>SMTP</connectionType>";

#[test]
fn a_mail() {
    let outcome = send(PLAIN, &format!("{PARAMETERS}<contentType>text/plain</contentType><replyTo>e@x</replyTo>"));
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.variable("r").as_deref(), Some(r#"{payload={"success":true}}"#));
    let [mail] = outcome.received() else { panic!("{:?}", outcome.received()) };
    assert_eq!(mail.url, "smtp://mail.test:2525 a@x -> b@x,c@x,d@x");
    let expected = "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nFrom: =?UTF-8?B?w4RubmU=?= <a@x>\r\nReply-To: e@x\r\n\
        To: \"Kim \\\"K\\\"\" <b@x>, c@x\r\nMessage-ID: <test@localhost>\r\nSubject: =?UTF-8?B?T3JkZXIgNyBmw7xyIEtpbQ==?=\r\n\
        MIME-Version: 1.0\r\nX-Order: 8\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: Base64\r\n\
        Content-Disposition: inline\r\n\r\nSGVsbG8gNyDDpA==\r\n";
    let expected = expected.replace("\"Kim \\\"K\\\"\"", "\"Kim \\\"K\"");
    assert_eq!(mail.body, expected);
}

#[test]
fn attachments_and_images() {
    let file = std::env::temp_dir().join(format!("mi-email-{}.csv", std::process::id()));
    std::fs::write(&file, "a,b").unwrap();
    let outcome = send(
        PLAIN,
        &format!(
            "{PARAMETERS}<attachments>{}</attachments>\
             <inlineImages>[{{\"contentID\": \"logo\", \"fileName\": \"l.png\", \"base64Content\": \"AAEC\"}}]</inlineImages>",
            file.display()
        ),
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(outcome.fault(), None);
    let mail = &outcome.received()[0].body;
    for part in [
        "Content-Type: multipart/mixed; boundary=\"----=_Part_test\"\r\n\r\n------=_Part_test\r\nContent-Type: text/html; charset=UTF-8",
        "Content-Type: text/csv\r\nContent-Transfer-Encoding: Base64\r\nContent-Disposition: attachment; filename=\"mi-email-",
        "\r\n\r\nYSxi\r\n",
        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <logo>\r\nContent-Disposition: inline; \
         filename=\"l.png\"\r\n\r\nAAEC\r\n\r\n------=_Part_test--\r\n",
    ] {
        assert!(mail.contains(part), "{part}\n{mail}");
    }
    let by_value = "<attachments>[{\"name\": \"a.txt\", \"content\": \"no base64!\"}]</attachments>";
    let quoted = "<contentTransferEncoding>quoted-printable</contentTransferEncoding>";
    let outcome = send(PLAIN, &format!("{PARAMETERS}{by_value}{quoted}"));
    let mail = &outcome.received()[0].body;
    assert!(mail.contains("Hello 7 =C3=A4\r\n") && mail.contains("\r\n\r\nno base64!\r\n"), "{mail}");
}

#[test]
fn connections() {
    let url = |connection: &str| {
        let outcome = send(connection, PARAMETERS);
        assert_eq!(outcome.fault(), None, "{connection}");
        (outcome.received()[0].url.clone(), outcome.received()[0].content_type.clone())
    };
    let who = "<username>kim</username><password>secret</password>";
    let (address, properties) =
        url(&format!("<connectionType>SMTPS</connectionType>{who}<readTimeout>500</readTimeout>"));
    assert!(address.starts_with("smtps://mail.test:2525 "), "{address}");
    assert_eq!(properties, "mail.password=secret mail.timeout=500 mail.user=kim");
    let (address, properties) =
        url("<connectionType>SMTPS</connectionType><requireTLS>true</requireTLS><trustedHosts>*</trustedHosts>\
         <requireAuthentication>false</requireAuthentication><username>kim</username><password>secret</password>");
    assert!(address.starts_with("smtp://mail.test:2525 "), "{address}");
    assert_eq!(properties, "mail.starttls=true mail.trusted=*");
    for (connection, part) in [
        ("<connectionType>IMAP</connectionType>", "needs a connection of the type SMTP, not imap"),
        ("<connectionType>X400</connectionType>", "type X400"),
        (
            "<connectionType>SMTP</connectionType><enableOAuth2>true</enableOAuth2><grantType>password</grantType>",
            "Grant type password is invalid.",
        ),
        (
            "<connectionType>SMTP</connectionType><enableOAuth2>true</enableOAuth2><grantType>CLIENT_CREDENTIALS</grantType>",
            "Invalid configurations provided for client credentials grant type.",
        ),
        ("", "Mandatory parameter 'connectionType' is not set."),
        (
            "<connectionType>SMTP</connectionType><requireAuthentication>true</requireAuthentication>",
            "mandatory parameter 'username' is not set",
        ),
        (
            "<connectionType>SMTP</connectionType><readTimeout>soon</readTimeout>",
            "'read timeout' must be a numeric value",
        ),
    ] {
        let outcome = send(connection, PARAMETERS);
        assert!(outcome.fault().is_some(), "{connection}");
        let detail = outcome.property("ERROR_DETAIL").unwrap_or_default();
        assert!(detail.contains(part), "{part}: {detail}");
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("700204"));
    }
}

#[test]
fn what_cannot_be_sent() {
    for (parameters, code, part) in [
        ("<from>a@x</from><responseVariable>r</responseVariable>", "700204", "Recipients are not provided"),
        ("<from>a x</from><to>b@x</to><responseVariable>r</responseVariable>", "700204", "'a x' is no mail address"),
        (
            "<from>a@x</from><to>b@x</to><attachments>/none/a.txt</attachments><responseVariable>r</responseVariable>",
            "700203",
            "/none/a.txt",
        ),
        (
            "<from>a@x</from><to>refused@x</to><responseVariable>r</responseVariable>",
            "700203",
            "sending the email with subject",
        ),
    ] {
        let outcome = send(PLAIN, parameters);
        let detail = outcome.property("ERROR_DETAIL").unwrap_or_default();
        assert!(outcome.fault().is_some() && detail.contains(part), "{part}: {detail} {:?}", outcome.fault());
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some(code));
        assert!(outcome.variable("r").is_some_and(|it| it.contains("\"success\":false") && it.contains(code)));
    }
}

#[test]
fn where_the_result_goes() {
    let outcome = send(
        PLAIN,
        "<from>a@x</from><to>b@x</to><responseVariable>r</responseVariable><overwriteBody>true</overwriteBody>",
    );
    assert_eq!(outcome.payload_text(), r#"{"success":true}"#);
    let outcome = send(PLAIN, "<from>a@x</from><to>b@x</to>");
    assert_eq!(outcome.payload_xml(), "<result><success>true</success></result>");
}

#[test]
fn tokens() {
    let oauth = "<connectionType>IMAPS</connectionType><username>kim</username><enableOAuth2>true</enableOAuth2>\
        <grantType>authorization_code</grantType><clientId>i d</clientId><clientSecret>s</clientSecret>\
        <refreshToken>r</refreshToken><tokenUrl>http://tokens.test/t</tokenUrl>";
    let token = r#"{"access_token": "abc", "expires_in": 3600, "done": true}"#;
    let outcome = run("expungeFolder", oauth, "<responseVariable>r</responseVariable>", token);
    assert_eq!(outcome.fault(), None);
    let [asked, mailbox] = outcome.received() else { panic!("{:?}", outcome.received()) };
    assert_eq!(asked.url, "http://tokens.test:80/t");
    assert_eq!(asked.body, "grant_type=refresh_token&client_id=i+d&client_secret=s&refresh_token=r");
    assert!(mailbox.url.starts_with("imaps://mail.test:2525 "), "{}", mailbox.url);
    assert_eq!(mailbox.content_type, "mail.bearer=true mail.password=abc mail.user=kim");
    let outcome = run("expungeFolder", oauth, "", r#"{"access_token": "abc"}"#);
    let detail = outcome.property("ERROR_DETAIL").unwrap_or_default();
    assert!(detail.contains("for kim. Missing key [expires_in]"), "{detail}");
    assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("700203"));
}

#[test]
fn mailboxes() {
    let imap = "<connectionType>IMAP</connectionType>";
    let asked = |operation: &str, parameters: &str, answer: &str| {
        let outcome = run(operation, imap, &format!("{parameters}<responseVariable>r</responseVariable>"), answer);
        let command = outcome.received().first().map(|it| it.body.clone()).unwrap_or_default();
        let command = serde_json::from_str(&command).unwrap_or(serde_json::Value::Null);
        (command, outcome.variable("r").unwrap_or_default(), outcome.property("ERROR_CODE"))
    };
    let id = "<emailId>&lt;1@x></emailId>";
    let (command, result, _) = asked(
        "list",
        "<folder>Work</folder><seen>false</seen><deleted>false</deleted><subjectRegex>s</subjectRegex><limit>5</limit>\
         <receivedSince>2026-01-31T08:00:00</receivedSince><sentUntil>2026-02-01T08:00</sentUntil>",
        r#"{"emails": [{"emailId": "1"}]}"#,
    );
    let expected = serde_json::json!({"do": "list", "folder": "Work", "delete": false, "seen": false, "answered": true,
        "recent": true, "deleted": false, "subject": "s", "from": null, "after": ["2026-01-31"], "before": ["2026-02-01"],
        "offset": 0, "limit": 5});
    assert_eq!((command, result.as_str()), (expected, r#"{payload={"emails":[{"emailId":"1"}]}}"#));
    let done = r#"{"done": true}"#;
    for (operation, flag, expunge) in
        [("markAsRead", "\\Seen", false), ("markAsDeleted", "\\Deleted", false), ("delete", "\\Deleted", true)]
    {
        let (command, result, _) = asked(operation, id, done);
        let expected =
            serde_json::json!({"do": "mark", "folder": "INBOX", "id": "<1@x>", "flag": flag, "expunge": expunge});
        assert_eq!((command, result.as_str()), (expected, r#"{payload={"success":true}}"#));
    }
    let (_, result, code) = asked("delete", id, r#"{"missing": 0}"#);
    assert!(result.contains(r#""success":false"#) && result.contains("EMAIL:EMAIL_NOT_FOUND"), "{result}");
    assert_eq!(code.as_deref(), Some("700201"));
    for (operation, parameters, answer, code) in [
        ("getEmailBody", id, r#"{"missing": 2}"#, "700208"),
        (
            "getEmailAttachment",
            "<emailId>1</emailId><attachmentIndex>0</attachmentIndex>",
            r#"{"missing": 0}"#,
            "700205",
        ),
        (
            "getEmailAttachment",
            "<emailId>1</emailId><attachmentIndex>7</attachmentIndex>",
            r#"{"wrong": "x"}"#,
            "700204",
        ),
        ("getEmailAttachment", "<emailId>1</emailId>", done, "700204"),
        ("markAsRead", "", done, "700204"),
        ("list", "<receivedSince>yesterday</receivedSince>", done, "700204"),
    ] {
        let (_, result, found) = asked(operation, parameters, answer);
        assert_eq!(found.as_deref(), Some(code), "{operation} {parameters} {result}");
    }
    let attachment = r#"{"name": "a.csv", "contentType": "text/csv", "content": "YSxi"}"#;
    let parameters = format!("{id}<attachmentIndex>0</attachmentIndex>");
    let (_, result, _) = asked("getEmailAttachment", &parameters, attachment);
    for part in [r#""base64Encoded":"YSxi""#, r#""ATTACHMENT_NAME":"a.csv""#, r#""ATTACHMENT_TYPE":"text/csv""#] {
        assert!(result.contains(part), "{part}: {result}");
    }
    let plain = attachment.replace("text/csv", "text/plain");
    let outcome = run("getEmailAttachment", imap, &format!("{parameters}<overwriteBody>true</overwriteBody>"), &plain);
    assert_eq!(
        (outcome.payload_text().as_str(), outcome.message().axis2.get_str("messageType")),
        ("a,b", Some("text/plain"))
    );
}
