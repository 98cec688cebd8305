//! The operations of the http, file and email connectors as templates of our own, for applications that name such a connector
//! in their `pom.xml` and do not bring its archive. A connector that is deployed goes before these.

use mi_config::template::SequenceTemplateConfig;
use mi_config::{Artifact, SourceFile};

/// A connector that is there without an archive.
pub struct BuiltIn {
    /// In front of the dot of an operation.
    pub name: &'static str,
    templates: fn() -> Vec<(String, String)>,
}

/// The connectors that need no archive.
pub const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn { name: "http", templates: http },
    BuiltIn { name: "file", templates: file },
    BuiltIn { name: "email", templates: email },
];

impl BuiltIn {
    /// The templates as text.
    #[cfg(test)]
    pub(crate) fn sources(&self) -> Vec<String> {
        (self.templates)().into_iter().map(|(_, text)| text).collect()
    }

    /// Operations and their templates, which are read anew each time.
    pub fn operations(&self) -> Vec<(String, SequenceTemplateConfig)> {
        read(self.name, (self.templates)())
    }
}

fn read(connector: &str, operations: Vec<(String, String)>) -> Vec<(String, SequenceTemplateConfig)> {
    let read_one = |(name, text): (String, String)| {
        let source = SourceFile::new(format!("the built-in connector {connector}"), text.into_bytes());
        let (artifacts, _) = mi_config::parse_artifact(source);
        artifacts.into_iter().find_map(|it| match it {
            Artifact::SequenceTemplate(template) => Some((format!("{connector}.{name}"), template)),
            _ => None,
        })
    };
    operations.into_iter().filter_map(read_one).collect()
}

/// A template with these parameters and this body.
fn template(name: &str, parameters: impl IntoIterator<Item = &'static str>, body: &str) -> String {
    let mut declared = String::new();
    for parameter in parameters {
        declared += "<parameter name=\"";
        declared += parameter;
        declared += "\"/>";
    }
    format!(
        "<template xmlns=\"http://ws.apache.org/ns/synapse\" name=\"{name}\">{declared}<sequence>{body}</sequence></template>"
    )
}

const HTTP_WITHOUT_BODY: [&str; 4] = ["GET", "HEAD", "OPTIONS", "DELETE"];
const HTTP_WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// Parameters that become properties for `RestURLBuilder`.
const HTTP_REQUEST: [(&str, &str); 6] = [
    ("relativePath", "HTTP_CONN_RELATIVE_PATH"),
    ("headers", "HTTP_CONN_HEADERS"),
    ("requestBodyType", "HTTP_CONN_REQUEST_BODY_TYPE"),
    ("requestBodyJson", "HTTP_CONN_REQUEST_BODY_JSON"),
    ("requestBodyXml", "HTTP_CONN_REQUEST_BODY_XML"),
    ("requestBodyText", "HTTP_CONN_REQUEST_BODY_TEXT"),
];

/// Those of a request that has no body.
const HTTP_ADDRESS: usize = 2;

/// Parameters that become properties of the transport, and whether as a boolean.
const HTTP_TRANSPORT: [(&str, &str, bool); 14] = [
    ("postToUri", "POST_TO_URI", false),
    ("forceScAccepted", "FORCE_SC_ACCEPTED", false),
    ("disableChunking", "DISABLE_CHUNKING", false),
    ("noEntityBody", "NO_ENTITY_BODY", true),
    ("forceHttp10", "FORCE_HTTP_1.0", false),
    ("httpSc", "HTTP_SC", false),
    ("nonErrorHttpStatusCodes", "non.error.http.status.codes", false),
    ("httpScDesc", "HTTP_SC_DESC", false),
    ("faultsAsHttp200", "FAULTS_AS_HTTP_200", false),
    ("noKeepAlive", "NO_KEEPALIVE", false),
    ("requestHostHeader", "REQUEST_HOST_HEADER", false),
    ("forcePostPutNobody", "FORCE_POST_PUT_NOBODY", true),
    ("forceHttpContentLength", "FORCE_HTTP_CONTENT_LENGTH", false),
    ("copyContentLengthFromIncoming", "COPY_CONTENT_LENGTH_FROM_INCOMING", false),
];

/// MI: the templates of mi-connector-http. The endpoint is the one that the connection's local entry holds.
fn http() -> Vec<(String, String)> {
    let set = |property: &str, rest: &str| format!("<property name=\"{property}\" {rest}/>");
    let init = set("httpConnectorConnectionName", "expression=\"$func:name\"")
        + &set(
            "httpConnectorConnectionEndpointName",
            "expression=\"concat($func:name, '_INTERNAL_ENDPOINT_REFERENCE')\"",
        )
        + &set("HTTP_CONN_BASE_PATH", "expression=\"$func:baseUrl\"")
        + &set("APPEND_ARTIFACT_IDENTIFIER", "value=\"true\" type=\"BOOLEAN\"");
    let mut operations = vec![("init".to_owned(), template("init", ["name", "baseUrl"], &init))];
    for method in HTTP_WITHOUT_BODY.into_iter().chain(HTTP_WITH_BODY) {
        let request = if HTTP_WITH_BODY.contains(&method) { &HTTP_REQUEST[..] } else { &HTTP_REQUEST[..HTTP_ADDRESS] };
        let mut body = String::new();
        for (parameter, property) in request {
            body += &set(property, &format!("expression=\"$func:{parameter}\""));
        }
        for (parameter, property, boolean) in HTTP_TRANSPORT {
            let kind = if boolean { " type=\"BOOLEAN\"" } else { "" };
            body += &set(property, &format!("scope=\"axis2\" expression=\"$func:{parameter}\"{kind}"));
        }
        body += "<class name=\"org.wso2.carbon.http.connector.RestURLBuilder\"/>";
        body += &set("HTTP_METHOD", &format!("scope=\"axis2\" value=\"{method}\""));
        body += &set("REST_URL_POSTFIX", "scope=\"axis2\" action=\"remove\"");
        body += "<call><endpoint key-expression=\"$ctx:httpConnectorConnectionEndpointName\"/></call>";
        let address = ["uri.var.base", "uri.var.path", "uri.var.query", "HTTP_CONN_BASE_PATH"];
        for property in address.into_iter().chain(request.iter().map(|(_, property)| *property)) {
            body += &set(property, "action=\"remove\"");
        }
        let of_transport = HTTP_TRANSPORT.iter().map(|(parameter, ..)| *parameter).chain(["restUrlPostfix"]);
        let parameters = request.iter().map(|(parameter, _)| *parameter).chain(of_transport).chain(RESULT);
        let name = method.to_ascii_lowercase();
        operations.push((name.clone(), template(&name, parameters, &body)));
    }
    operations
}

/// Where the result goes.
const RESULT: [&str; 2] = ["responseVariable", "overwriteBody"];

/// Operations of the file connector, their classes and parameters. MI: the templates of esb-connector-file.
const FILE: [(&str, &str, &str); 10] = [
    (
        "init",
        "FileConfig",
        "name connectionType workingDir fileLockScheme maxFailureRetries host port username password",
    ),
    (
        "read",
        "ReadFile",
        "path filePattern readMode metadataOutputFormat startLineNum endLineNum lineNum contentType encoding enableStreaming \
         enableLock maxRetries retryDelay fileFilterType includeFiles excludeFiles maxFileAge timeBetweenSizeCheck",
    ),
    (
        "write",
        "WriteFile",
        "filePath contentOrExpression encoding mimeType compress writeMode appendPosition enableStreaming appendNewLine \
         enableLock updateLastModified maxRetries retryDelay timeBetweenSizeCheck updateFilePermission",
    ),
    ("checkExist", "CheckFileExist", "path"),
    ("createDirectory", "CreateDirectory", "directoryPath autoCreate permissions"),
    (
        "delete",
        "DeleteFileOrFolder",
        "path matchingPattern fileFilterType includeFiles excludeFiles maxFileAge maxRetries retryDelay",
    ),
    (
        "copy",
        "CopyFiles",
        "sourcePath targetPath sourceFilePattern fileFilterType includeFiles excludeFiles maxFileAge timeBetweenSizeCheck \
         includeParent overwrite renameTo maxRetries retryDelay",
    ),
    (
        "move",
        "MoveFiles",
        "sourcePath targetPath createParentDirectories includeParent overwrite renameTo filePattern fileFilterType \
         includeFiles excludeFiles maxFileAge timeBetweenSizeCheck isSourceMounted isTargetMounted",
    ),
    ("rename", "RenameFiles", "path renameTo timeBetweenSizeCheck overwrite"),
    (
        "listFiles",
        "ListFiles",
        "directoryPath matchingPattern fileFilterType includeFiles excludeFiles maxFileAge recursive subDirectoryMaxDepth \
         responseFormat sortingAttribute sortingOrder maxRetries retryDelay appendFileAttributes",
    ),
];

/// Operations of the email connector, their classes and parameters. MI: the templates of esb-connector-email.
const EMAIL: [(&str, &str, &str); 9] = [
    (
        "init",
        "EmailConfig",
        "host port name username password connectionType readTimeout connectionTimeout writeTimeout requireTLS \
         checkServerIdentity trustedHosts sslProtocols cipherSuites requireAuthentication enableOAuth2 grantType clientId \
         clientSecret refreshToken scope tokenUrl maxActiveConnections maxIdleConnections maxWaitTime minEvictionTime \
         evictionCheckInterval exhaustedAction",
    ),
    (
        "send",
        "EmailSend",
        "from personalName to cc bcc replyTo subject content contentType encoding attachments inlineImages \
         contentTransferEncoding",
    ),
    (
        "list",
        "EmailList",
        "deleteAfterRetrieve receivedSince receivedUntil sentSince sentUntil subjectRegex fromRegex seen answered deleted recent \
         offset limit folder",
    ),
    ("getEmailBody", "EmailGetBody", "emailId folder"),
    ("getEmailAttachment", "EmailGetAttachment", "emailId folder attachmentIndex"),
    ("delete", "EmailDelete", "folder emailId"),
    ("markAsRead", "EmailMarkAsRead", "folder emailId"),
    ("markAsDeleted", "EmailMarkAsDeleted", "folder emailId"),
    ("expungeFolder", "EmailExpungeFolder", "folder"),
];

fn email() -> Vec<(String, String)> {
    let operation = |(name, class, parameters): (&'static str, &str, &'static str)| {
        let body = format!("<class name=\"org.wso2.carbon.connector.operations.{class}\"/>");
        (name.to_owned(), template(name, parameters.split_ascii_whitespace().chain(RESULT), &body))
    };
    EMAIL.into_iter().map(operation).collect()
}

fn file() -> Vec<(String, String)> {
    let operation = |(name, class, parameters): (&'static str, &str, &'static str)| {
        let parameters = parameters.split_ascii_whitespace().chain(["diskShareAccessMask"]).chain(RESULT);
        let body = format!("<class name=\"org.wso2.carbon.connector.operations.{class}\"/>");
        (name.to_owned(), template(name, parameters, &body))
    };
    FILE.into_iter().map(operation).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use mi_config::Element;

    use super::*;
    use crate::testing::Flowing;

    /// The elements of a template that name a class.
    fn classes(body: &Element) -> Vec<String> {
        let mut open = vec![body.clone()];
        let mut found = Vec::new();
        while let Some(element) = open.pop() {
            if element.name() == "class" {
                found.extend(element.attr("name").map(Cow::into_owned));
            }
            open.extend(element.children());
        }
        found
    }

    #[test]
    fn every_operation_is_a_template_whose_classes_are_known() {
        let mut names = Vec::new();
        for connector in &BUILT_IN {
            for (name, template) in connector.operations() {
                for class in classes(&template.body) {
                    assert!(crate::connectors::class(&class).is_some(), "{name} needs {class}");
                }
                names.push(name);
            }
        }
        assert_eq!(
            names.len(),
            1 + HTTP_WITH_BODY.len() + HTTP_WITHOUT_BODY.len() + FILE.len() + EMAIL.len(),
            "{names:?}"
        );
        assert!(names.contains(&"http.post".to_owned()) && names.contains(&"file.move".to_owned()), "{names:?}");
    }

    #[test]
    fn a_file_is_written_and_found() {
        let folder = std::env::temp_dir().join(format!("mi-built-in-{}", std::process::id()));
        let connection = format!(
            "<file.init><connectionType>LOCAL</connectionType><workingDir>{}</workingDir></file.init>",
            folder.display()
        );
        let of = |name: &str, mediator: &str| {
            let operations = file();
            let mut flowing = Flowing::of(mediator).local_entry("here", &connection).json("{}");
            for wanted in ["init", name] {
                let text = operations.iter().find(|(it, _)| it == wanted).map(|(_, text)| text.clone());
                let named = text
                    .unwrap_or_default()
                    .replace(&format!("name=\"{wanted}\">"), &format!("name=\"file.{wanted}\">"));
                flowing = flowing.template(&named);
            }
            flowing.run()
        };
        let written = of(
            "write",
            "<file.write configKey='here'><filePath>/a.txt</filePath><contentOrExpression>x</contentOrExpression></file.write>",
        );
        assert_eq!(written.fault(), None);
        assert_eq!(std::fs::read_to_string(folder.join("a.txt")).unwrap(), "x");
        std::fs::remove_dir_all(&folder).ok();
    }
}
