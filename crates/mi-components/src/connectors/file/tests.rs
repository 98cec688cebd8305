use std::fs;
use std::path::PathBuf;

use crate::testing::{Flowing, Outcome};

/// A folder with `in/a.txt` (three lines), `in/b.json` and `in/sub/c.txt`.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mi-file-connector-{name}-{}", std::process::id()));
        let _old = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("in/sub")).unwrap();
        for (file, text) in [("in/a.txt", "one\ntwo\nthree\n"), ("in/b.json", r#"{"b":1}"#), ("in/sub/c.txt", "c")] {
            fs::write(path.join(file), text).unwrap();
        }
        Self(path)
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.0.join(file)).ok()
    }

    /// Calls an operation with its parameters, its answer in the variable `r` unless they say otherwise.
    fn call(&self, class: &str, parameters: &[(&str, &str)]) -> Outcome {
        let names: Vec<&str> =
            parameters.iter().map(|(name, _)| *name).chain(["responseVariable", "overwriteBody"]).collect();
        let declared: Vec<String> = names.iter().map(|name| format!("<parameter name='{name}'/>")).collect();
        let declared = declared.concat();
        let template = |name: &str, declared: &str, class: &str| {
            let class = format!("<class name='org.wso2.carbon.connector.operations.{class}'/>");
            format!("<template name='file.{name}'>{declared}<sequence>{class}</sequence></template>")
        };
        let given: Vec<String> = parameters.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
        let given = given.concat();
        let connection = "<parameter name='connectionType'/><parameter name='workingDir'/>";
        let folder = self.0.display();
        Flowing::of(&format!("<file.op configKey='c'>{given}<responseVariable>r</responseVariable></file.op>"))
            .template(&template("op", &declared, class))
            .template(&template("init", connection, "FileConfig"))
            .local_entry(
                "c",
                &format!(
                    "<file.init><connectionType>LOCAL</connectionType><workingDir>{folder}</workingDir></file.init>"
                ),
            )
            .json(r#"{"id": 7}"#)
            .run()
    }

    #[track_caller]
    fn check(&self, class: &str, parameters: &[(&str, &str)], expected: &str) {
        let outcome = self.call(class, parameters);
        let answer = outcome.variable("r").unwrap_or_default();
        assert!(answer.contains(expected), "{class} {parameters:?}: {answer} {:?}", outcome.fault());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_read() {
    let folder = Folder::new("read");
    folder.check("ReadFile", &[("path", "in/a.txt")], "payload=one\ntwo\nthree\n");
    folder.check("ReadFile", &[("path", "/in/b.json")], r#"payload={"b":1}"#);
    folder.check("ReadFile", &[("path", "in"), ("filePattern", ".*json")], r#""FILE_PATH":"in/b.json""#);
    folder.check(
        "ReadFile",
        &[("path", "in/a.txt"), ("readMode", "Between Lines"), ("startLineNum", "2"), ("endLineNum", "3")],
        "payload=two\nthree,",
    );
    folder.check("ReadFile", &[("path", "in/a.txt"), ("readMode", "Specific Line"), ("lineNum", "2")], "payload=two,");
    folder.check("ReadFile", &[("path", "in/a.txt"), ("readMode", "Metadata Only")], r#""FILE_SIZE":"14""#);
    let outcome = folder.call("ReadFile", &[("path", "in/b.json"), ("overwriteBody", "true")]);
    assert_eq!(outcome.payload_text(), r#"{"b":1}"#);
}

#[test]
fn files_are_written() {
    let folder = Folder::new("write");
    folder.check(
        "WriteFile",
        &[("filePath", "out/x.txt"), ("contentOrExpression", "n ${payload.id}")],
        r#""writtenBytes":3"#,
    );
    assert_eq!(folder.text("out/x.txt").as_deref(), Some("n 7"));
    folder.check(
        "WriteFile",
        &[("filePath", "out/x.txt"), ("contentOrExpression", "!"), ("writeMode", "Append"), ("appendNewLine", "true")],
        r#""success":true"#,
    );
    assert_eq!(folder.text("out/x.txt").as_deref(), Some("n 7!\n"));
    folder.check("WriteFile", &[("filePath", "out/y.json")], r#""success":true"#);
    assert_eq!(folder.text("out/y.json").as_deref(), Some(r#"{"id": 7}"#));
    folder.check("WriteFile", &[("filePath", "in/a.txt"), ("writeMode", "Create New")], "FILE:FILE_ALREADY_EXISTS");
    folder.check("CreateDirectory", &[("directoryPath", "made/deep")], r#""success":true"#);
    folder.check("CheckFileExist", &[("path", "made/deep")], r#""fileExists":true"#);
    folder.check("CheckFileExist", &[("path", "made/no")], r#""fileExists":false"#);
}

#[test]
fn files_are_copied_moved_and_deleted() {
    let folder = Folder::new("move");
    folder.check(
        "CopyFiles",
        &[("sourcePath", "in/a.txt"), ("targetPath", "copy"), ("renameTo", "z.txt")],
        r#""success":true"#,
    );
    folder.check(
        "CopyFiles",
        &[("sourcePath", "in/a.txt"), ("targetPath", "copy"), ("renameTo", "z.txt")],
        "FILE_ALREADY_EXISTS",
    );
    folder.check(
        "CopyFiles",
        &[("sourcePath", "in"), ("targetPath", "all"), ("includeParent", "true")],
        r#""success":true"#,
    );
    assert_eq!((folder.text("copy/z.txt").is_some(), folder.text("all/in/sub/c.txt").as_deref()), (true, Some("c")));
    folder.check("MoveFiles", &[("sourcePath", "in/b.json"), ("targetPath", "none")], "not configured to create");
    let create = ("createParentDirectories", "true");
    folder.check("MoveFiles", &[("sourcePath", "in/b.json"), ("targetPath", "moved"), create], r#""success":true"#);
    assert_eq!((folder.text("in/b.json"), folder.text("moved/b.json").is_some()), (None, true));
    folder.check("RenameFiles", &[("path", "moved/b.json"), ("renameTo", "n.json")], r#""success":true"#);
    folder.check("DeleteFileOrFolder", &[("path", "moved/n.json")], r#""success":true"#);
    folder.check("DeleteFileOrFolder", &[("path", "all"), ("matchingPattern", ".*txt")], r#""numOfDeletedFiles":2"#);
    folder.check("DeleteFileOrFolder", &[("path", "all")], r#""numOfDeletedFiles":4"#);
    assert!(!folder.0.join("all").exists());
}

#[test]
fn folders_are_listed() {
    let folder = Folder::new("list");
    folder.check("ListFiles", &[("directoryPath", "in")], r#""directory":{"name":"in","file":["a.txt","b.json"]}"#);
    folder.check(
        "ListFiles",
        &[("directoryPath", "in"), ("recursive", "true"), ("matchingPattern", ".*txt")],
        r#""directory":[{"name":"sub","file":["c.txt"]}]"#,
    );
    folder.check(
        "ListFiles",
        &[("directoryPath", "in"), ("responseFormat", "Flat"), ("sortingOrder", "Descending")],
        r#""files":[{"name":"b.json""#,
    );
}

#[test]
fn failures_are_faults_and_in_the_variable() {
    let folder = Folder::new("fail");
    let outcome = folder.call("ReadFile", &[("path", "in/none")]);
    assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("700102"));
    assert!(outcome.variable("r").is_some_and(|it| it.contains("FILE:ILLEGAL_PATH") && it.contains("not found")));
    assert!(outcome.fault().is_some());
    folder.check("ReadFile", &[("path", "../../etc/passwd")], "leads out of the working directory");
    folder.check("RenameFiles", &[("path", "in/a.txt"), ("renameTo", "../b")], "leads out of the working directory");
    folder.check("ReadFile", &[("path", "in/a.txt"), ("readMode", "Some")], "Unknown file read mode");
}
