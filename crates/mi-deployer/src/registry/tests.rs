use super::*;
use crate::testkit::TempDir;

fn registry(dir: &TempDir, content: &[(&str, &str)]) -> Registry {
    let content = content.iter().map(|(path, text)| {
        let bytes = Some(Bytes::copy_from_slice(text.as_bytes()));
        ((*path).to_owned(), RegistryResource { bytes, ..RegistryResource::default() })
    });
    Registry::new(&dir.path().join("registry"), dir.path(), content.collect())
}

#[track_caller]
fn check(registry: &Registry, key: &str, expected: Option<&str>) {
    let got = registry.bytes(key).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    assert_eq!(got.as_deref(), expected, "{key}");
}

#[test]
fn keys_lead_to_folders() {
    let dir = TempDir::new();
    dir.write("registry/config/a/x.xml", "conf");
    dir.write("registry/governance/a/x.xml", "gov");
    dir.write("registry/local/a/x.xml", "local");
    dir.write("samples/f.txt", "file");
    let registry = registry(&dir, &[("governance/mi-resources/j/s.js", "car"), ("governance/a/y", "from a car")]);
    for (key, expected) in [
        ("conf:/a/x.xml", Some("conf")),
        ("conf:a/x.xml", Some("conf")),
        ("gov:a/x.xml", Some("gov")),
        ("a/x.xml", Some("gov")),
        ("/a//x.xml", Some("gov")),
        ("/_system/config/a/x.xml", Some("conf")),
        ("local:/a/x.xml", Some("local")),
        ("resources:j/s.js", Some("car")),
        ("gov:mi-resources/j/s.js", Some("car")),
        ("a/y", Some("from a car")),
        ("file:samples/f.txt", Some("file")),
        ("file:./samples/f.txt", Some("file")),
        ("conf:/a/none", None),
        ("conf:/a", None),
        ("file:samples/none", None),
    ] {
        check(&registry, key, expected);
    }
}

#[test]
fn keys_cannot_leave_the_registry() {
    let dir = TempDir::new();
    dir.write("secret.txt", "secret");
    dir.write("registry/governance/ok", "ok");
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.path().join("secret.txt"), dir.path().join("registry/governance/link")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.path().join("registry/governance/ok"), dir.path().join("registry/governance/in"))
        .unwrap();
    let registry = registry(&dir, &[]);
    for key in ["gov:../../secret.txt", "gov:/a/../../../secret.txt", "../secret.txt", "gov:link", "gov:..\\secret.txt"]
    {
        check(&registry, key, None);
        assert!(key == "gov:link" || registry.put(key, RegistryResource::default()).is_err(), "{key}");
    }
    #[cfg(unix)]
    check(&registry, "gov:in", Some("ok"));
}

#[test]
fn properties_and_media_types_are_in_sidecars() {
    let dir = TempDir::new();
    dir.write("registry/config/t.txt.properties", "resourceName=Config Reg");
    dir.write("registry/config/s.js", "code");
    dir.write("registry/config/.metadata/s.js.meta", "mediaType=application/javascript");
    dir.write("registry/config/d/x", "x");
    dir.write("registry/config/d.collections.properties", "a=1");
    let registry = registry(&dir, &[]);
    assert_eq!(registry.property("conf:t.txt", "resourceName").as_deref(), Some("Config Reg"));
    check(&registry, "conf:t.txt", None);
    assert_eq!(registry.get("conf:s.js").unwrap().media_type.as_deref(), Some("application/javascript"));
    assert_eq!(registry.property("conf:d", "a").as_deref(), Some("1"));
    assert_eq!(registry.children("conf:").unwrap(), ["d/", "s.js"]);
}

#[test]
fn what_applications_bring_becomes_files() {
    let dir = TempDir::new();
    let kept = dir.write("registry/config/same", "same");
    let before = std::fs::metadata(&kept).unwrap().modified().unwrap();
    let registry = registry(&dir, &[("governance/a/x", "brought"), ("config/same", "same"), ("config/no", "failed")]);
    registry.drop_brought(&["config/no".to_owned()]);
    registry.keep_brought().unwrap();
    let file = dir.path().join("registry/governance/a/x");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "brought");
    assert_eq!(std::fs::metadata(&kept).unwrap().modified().unwrap(), before);
    check(&registry, "gov:a/x", Some("brought"));
    check(&registry, "conf:no", None);
    registry.remove_brought(&["governance/gone".to_owned(), "governance/a/x".to_owned()]).unwrap();
    assert!(!file.exists());
    check(&registry, "gov:a/x", None);
}

#[test]
fn a_folder_that_cannot_be_written_leaves_resources_in_memory() {
    let dir = TempDir::new();
    dir.write("registry/governance", "a file where a folder is needed");
    let registry = registry(&dir, &[("governance/a/x", "brought")]);
    assert!(matches!(registry.keep_brought(), Err(RegistryError::Io(_))));
    check(&registry, "gov:a/x", Some("brought"));
}

#[test]
fn written_resources_are_seen_at_once() {
    let dir = TempDir::new();
    let registry = registry(&dir, &[("governance/c", "car")]);
    check(&registry, "gov:n/a", None);
    let resource = RegistryResource {
        bytes: Some(Bytes::from_static(b"new")),
        media_type: Some("text/plain".to_owned()),
        properties: [("k=1".to_owned(), " v\n".to_owned())].into(),
    };
    registry.put("gov:n/a", resource.clone()).unwrap();
    assert_eq!(*registry.get("gov:n/a").unwrap(), resource);
    registry.set_property("gov:n/a", "p", "q").unwrap();
    assert_eq!(registry.property("gov:n/a", "p").as_deref(), Some("q"));
    registry
        .put("gov:c", RegistryResource { bytes: Some(Bytes::from_static(b"changed")), ..Default::default() })
        .unwrap();
    check(&registry, "gov:c", Some("changed"));
    assert!(registry.delete("gov:n/a").unwrap());
    check(&registry, "gov:n/a", None);
    assert!(!registry.delete("gov:n/a").unwrap());
    assert!(registry.delete("gov:").is_err());
}
