//! Reads configurations of the Smooks library: `<smooks-resource-list>` with a reader of CSV.

use mi_xml::{Document, NodeId};

use super::csv::{Csv, Field, MAX_FIELDS};

/// What a configuration does with a text.
#[derive(Debug)]
pub(super) struct Plan {
    csv: Csv,
}

impl Plan {
    /// Reads a configuration; the error says what of it is not there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let document = Document::parse(text.as_bytes().to_vec()).map_err(|error| error.to_string())?;
        let root = document.root_element().ok_or("there is no element")?;
        if document.local_name(root) != "smooks-resource-list" {
            return Err(format!("the element is '{}', not 'smooks-resource-list'", document.local_name(root)));
        }
        let mut csv = None;
        for child in document.child_elements(root) {
            let found = match document.local_name(child) {
                // How the library works on its stream; there is no difference in what comes out.
                "params" | "features" => continue,
                "reader" if is_namespace(&document, child, "/csv-") => from_reader(&document, child)?,
                "resource-config" => from_resource(&document, child)?,
                other => return Err(unknown(&document, child, &format!("<{other}>"))),
            };
            if csv.replace(found).is_some() {
                return Err("there are two readers".to_owned());
            }
        }
        Ok(Self { csv: csv.ok_or("there is no reader of CSV")? })
    }

    /// The result for one message. `prefix` leads the lines of the log.
    pub(super) fn apply(&self, text: &str, prefix: &str) -> Result<String, String> {
        self.csv.to_xml(text, prefix)
    }
}

fn is_namespace(document: &Document, node: NodeId, part: &str) -> bool {
    document.namespace(node).contains(part)
}

fn unknown(document: &Document, node: NodeId, shown: &str) -> String {
    let kind = [("/edi-", "EDI"), ("/unedifact-", "UN/EDIFACT"), ("/json-", "JSON"), ("/flatfile-", "flat files")];
    let kind = kind.iter().find(|(part, _)| is_namespace(document, node, part)).map_or("", |(_, kind)| kind);
    let kind = if kind.is_empty() { String::new() } else { format!(" ({kind})") };
    format!("{shown}{kind} is not supported by this version")
}

/// `<csv:reader>`.
fn from_reader(document: &Document, node: NodeId) -> Result<Csv, String> {
    if let Some(child) = document.child_elements(node).next() {
        return Err(unknown(document, child, &format!("<csv:{}>", document.local_name(child))));
    }
    let mut csv = Csv::default();
    for attribute in document.attributes(node) {
        set(&mut csv, document.local_name(attribute), &document.value(attribute))?;
    }
    complete(csv)
}

/// `<resource-config>` that names the class of the reader.
fn from_resource(document: &Document, node: NodeId) -> Result<Csv, String> {
    let mut csv = Csv::default();
    let mut class = String::new();
    for child in document.child_elements(node) {
        let text = document.text(child);
        match document.local_name(child) {
            "resource" => text.trim().clone_into(&mut class),
            "param" => {
                let name = document.attribute(child, "", "name").unwrap_or_default();
                if class.is_empty() || class.ends_with("CSVReader") {
                    set(&mut csv, &name, text.trim())?;
                }
            }
            other => return Err(unknown(document, child, &format!("<{other}>"))),
        }
    }
    match class.as_str() {
        "org.milyn.csv.CSVReader" | "org.milyn.smooks.csv.CSVReader" | "org.smooks.cartridges.csv.CSVReader" => {
            complete(csv)
        }
        "org.milyn.smooks.edi.EDIReader" => Err("the reader of EDI is not supported by this version".to_owned()),
        other => Err(format!("the resource '{other}' is not supported by this version")),
    }
}

fn complete(csv: Csv) -> Result<Csv, String> {
    if csv.fields.is_empty() { Err("the reader of CSV needs 'fields'".to_owned()) } else { Ok(csv) }
}

/// One setting, by its name as an attribute or as a parameter.
fn set(csv: &mut Csv, name: &str, value: &str) -> Result<(), String> {
    let one = || {
        let mut letters = value.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(letter),
            _ => Err(format!("'{name}' is one letter, not '{value}'")),
        }
    };
    let flag = || match value {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("'{name}' is true or false, not '{other}'")),
    };
    match name {
        "fields" => csv.fields = fields(value)?,
        "separator" => csv.separator = one()?,
        "quote" | "quote-char" => csv.quote = one()?,
        "escape" | "escape-char" => csv.escape = one()?,
        "skipLines" | "skip-line-count" => {
            csv.skip = value.parse().map_err(|_| format!("'{name}' is a number, not '{value}'"))?;
        }
        "rootElementName" => value_name(value)?.clone_into(&mut csv.root),
        "recordElementName" => value_name(value)?.clone_into(&mut csv.record),
        "indent" => csv.indent = flag()?,
        "strict" => csv.strict = flag()?,
        // The text of the message is decoded already.
        "encoding" => {}
        other => return Err(format!("the setting '{other}' of the CSV reader is not supported by this version")),
    }
    Ok(())
}

fn value_name(name: &str) -> Result<&str, String> {
    let is_name = Document::parse(format!("<{name}/>").into_bytes())
        .is_ok_and(|document| document.root_element().is_some_and(|root| document.local_name(root) == name));
    if is_name { Ok(name) } else { Err(format!("'{name}' cannot be the name of an element")) }
}

/// `a,b,$ignore$,$ignore$3,c,$ignore$+`
fn fields(list: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for name in list.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let Some(many) = name.strip_prefix("$ignore$") else {
            if name.contains('?') {
                return Err(format!("the field '{name}': functions are not supported by this version"));
            }
            fields.push(Field::Named(value_name(name)?.to_owned()));
            continue;
        };
        fields.push(match many {
            "+" => Field::IgnoreRest,
            "" => Field::Ignored(1),
            number => {
                let number = number.parse().ok().filter(|it| (1..=MAX_FIELDS).contains(it));
                Field::Ignored(number.ok_or_else(|| format!("the field '{name}': no number of fields"))?)
            }
        });
    }
    if fields.len() > MAX_FIELDS { Err(format!("more than {MAX_FIELDS} fields")) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    fn plan(inside: &str) -> Result<Plan, String> {
        Plan::parse(&format!(
            "<smooks-resource-list xmlns='http://www.milyn.org/xsd/smooks-1.0.xsd'>{inside}</smooks-resource-list>"
        ))
    }

    #[test]
    fn both_ways_to_name_the_reader() {
        let resource = "<resource-config selector='org.xml.sax.driver'><resource>org.milyn.csv.CSVReader</resource>\
            <param name='fields' type='string-list'>first,last</param><param name='separator'>;</param></resource-config>";
        let reader = "<params><param name='stream.filter.type'>SAX</param></params>\
            <c:reader xmlns:c='http://www.milyn.org/xsd/smooks/csv-1.2.xsd' fields='first,last' separator=';' \
            rootElementName='people'/>";
        let record = "<csv-record number=\"1\"><first>Tom</first><last>F</last></csv-record>";
        for (config, root) in [(resource, "csv-set"), (reader, "people")] {
            let result = plan(config).and_then(|it| it.apply("Tom;F\n", ""));
            assert_eq!(result.as_deref(), Ok(format!("<{root}>{record}</{root}>").as_str()));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        const CSV: &str = "xmlns:c='http://www.milyn.org/xsd/smooks/csv-1.2.xsd'";
        for (inside, part) in [
            (String::new(), "no reader"),
            (format!("<c:reader {CSV}/>"), "needs 'fields'"),
            (format!("<c:reader {CSV} fields='a' separator='ab'/>"), "one letter"),
            (format!("<c:reader {CSV} fields='a b'/>"), "cannot be the name"),
            (format!("<c:reader {CSV} fields='a?trim'/>"), "functions"),
            (format!("<c:reader {CSV} fields='$ignore$0'/>"), "no number"),
            (format!("<c:reader {CSV} fields='a' x='1'/>"), "setting 'x'"),
            (
                format!("<c:reader {CSV} fields='a'><c:listBinding beanId='b' class='C'/></c:reader>"),
                "<csv:listBinding>",
            ),
            ("<resource-config><resource>org.acme.Visitor</resource></resource-config>".into(), "org.acme.Visitor"),
            ("<jb:bean xmlns:jb='http://www.milyn.org/xsd/smooks/javabean-1.2.xsd'/>".into(), "<bean>"),
        ] {
            let error = plan(&inside).err();
            assert!(error.as_ref().is_some_and(|it| it.contains(part)), "{inside}: {error:?}");
        }
        assert!(Plan::parse("<a/>").is_err_and(|it| it.contains("not 'smooks-resource-list'")));
    }
}
