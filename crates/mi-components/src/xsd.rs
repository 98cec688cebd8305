//! XML Schema validation. The one place that knows the crate that does it.
//!
//! A schema that includes or imports others is laid out as files in a folder of its own while it is compiled, because
//! the crate reads them from there; nothing else of the file system is reached.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use mi_xml::Document;
use uppsala::XsdValidator;

/// Most schemas that one schema may pull in.
const MAX_PARTS: usize = 200;

/// The namespace of schema documents.
const XSD_NAMESPACE: &str = "http://www.w3.org/2001/XMLSchema";

/// One or more compiled schemas.
pub(crate) struct XsdSchemas {
    validators: Vec<XsdValidator>,
}

impl std::fmt::Debug for XsdSchemas {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("XsdSchemas").field("schemas", &self.validators.len()).finish()
    }
}

impl XsdSchemas {
    /// Compiles schemas; `resolve` gives the text behind a `schemaLocation`, where there is any.
    pub(crate) fn compile(texts: &[String], resolve: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let validators = texts.iter().map(|text| compile(text, resolve)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { validators })
    }

    /// Validates a document: nothing when it is valid, else what is wrong by the schema that comes nearest.
    pub(crate) fn validate(&self, xml: &str) -> Result<Vec<String>, String> {
        let document = uppsala::parse(xml).map_err(|error| error.to_string())?;
        let mut nearest: Option<Vec<String>> = None;
        for validator in &self.validators {
            let errors: Vec<String> = validator.validate(&document).into_iter().map(|it| it.message).collect();
            if errors.is_empty() {
                return Ok(errors);
            }
            if nearest.as_ref().is_none_or(|known| errors.len() < known.len()) {
                nearest = Some(errors);
            }
        }
        Ok(nearest.unwrap_or_default())
    }
}

fn compile(text: &str, resolve: &dyn Fn(&str) -> Option<String>) -> Result<XsdValidator, String> {
    let parts = Parts::collect(text, resolve)?;
    let Some(folder) = parts.write()? else {
        let document = uppsala::parse(text).map_err(|error| error.to_string())?;
        return XsdValidator::from_schema(&document).map_err(|error| error.to_string());
    };
    let main = parts.texts.first().map_or(text, |(_, text)| text);
    let document = uppsala::parse(main).map_err(|error| error.to_string())?;
    XsdValidator::from_schema_with_base_path(&document, Some(&folder.0)).map_err(|error| error.to_string())
}

/// A schema and all that it pulls in, with locations that are plain file names.
struct Parts {
    /// File name and text; the first is the main schema.
    texts: Vec<(String, String)>,
}

impl Parts {
    fn collect(text: &str, resolve: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut names: HashMap<String, String> = HashMap::new();
        let mut waiting = vec![("0.xsd".to_owned(), text.to_owned())];
        let mut texts = Vec::new();
        while let Some((name, text)) = waiting.pop() {
            let mut document = Document::parse(text.into_bytes()).map_err(|error| error.to_string())?;
            let Some(root) = document.root_element() else { return Err("the schema is empty".to_owned()) };
            let references: Vec<_> = document
                .child_elements(root)
                .filter(|it| document.namespace(*it) == XSD_NAMESPACE)
                .filter(|it| matches!(document.local_name(*it), "include" | "import" | "redefine"))
                .collect();
            for reference in references {
                let Some(location) = document.attribute(reference, "", "schemaLocation").map(|it| it.into_owned())
                else {
                    continue;
                };
                let file = match names.get(&location) {
                    Some(file) => file.clone(),
                    None => {
                        let Some(content) = resolve(&location) else {
                            // What cannot be found is left out; the schema may do without it.
                            document.remove_attribute(reference, "", "schemaLocation");
                            continue;
                        };
                        let file = format!("{}.xsd", names.len() + 1);
                        if names.len() >= MAX_PARTS {
                            return Err(format!("the schema pulls in more than {MAX_PARTS} others"));
                        }
                        names.insert(location, file.clone());
                        waiting.push((file.clone(), content));
                        file
                    }
                };
                document.set_attribute(reference, "", "schemaLocation", "", &file);
            }
            texts.push((name, document.to_xml(root)));
        }
        Ok(Self { texts })
    }

    /// Writes the files, when there is more than one.
    fn write(&self) -> Result<Option<Folder>, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if self.texts.len() < 2 {
            return Ok(None);
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Folder(std::env::temp_dir().join(format!("mi-xsd-{}-{number}", std::process::id())));
        std::fs::create_dir_all(&folder.0).map_err(|error| error.to_string())?;
        for (name, text) in &self.texts {
            std::fs::write(folder.0.join(name), text).map_err(|error| error.to_string())?;
        }
        Ok(Some(folder))
    }
}

/// A folder that goes away with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::debug!("{} stays behind: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::XsdSchemas;

    const MAIN: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:a' xmlns='urn:a' elementFormDefault='qualified'>\
        <xs:include schemaLocation='http://x/part.xsd'/><xs:element name='o' type='T'/></xs:schema>";
    const PART: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:a' xmlns='urn:a' elementFormDefault='qualified'>\
        <xs:complexType name='T'><xs:sequence><xs:element name='n' type='xs:int'/></xs:sequence></xs:complexType></xs:schema>";

    #[track_caller]
    fn check(xml: &str, valid: bool) {
        let resolve = |location: &str| (location == "http://x/part.xsd").then(|| PART.to_owned());
        let schemas = XsdSchemas::compile(&[MAIN.to_owned()], &resolve).expect("valid schema");
        let errors = schemas.validate(xml).expect("well-formed");
        assert_eq!(errors.is_empty(), valid, "{errors:?}");
    }

    #[test]
    fn included_types_are_found() {
        check("<o xmlns='urn:a'><n>1</n></o>", true);
        check("<o xmlns='urn:a'><n>x</n></o>", false);
        check("<o xmlns='urn:a'/>", false);
        check("<p xmlns='urn:a'/>", false);
    }
}
