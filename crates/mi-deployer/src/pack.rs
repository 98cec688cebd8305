//! Makes a CAR of a project folder or of an unpacked CAR. The same input gives the same bytes.

use std::fmt;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use mi_config::Diagnostic;
use zip::write::SimpleFileOptions;

use crate::bundle::{Bundle, BundleError, Limits};
use crate::car::{Car, Opened};
use crate::project::{self, Project};

/// Why no CAR was made.
#[derive(Debug)]
pub enum PackError {
    /// The folder is neither a project nor an unpacked CAR, or cannot be read.
    Source(BundleError),
    /// The CAR would not deploy.
    Invalid(Vec<Diagnostic>),
    /// The file cannot be written.
    Io(std::io::Error),
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(cause) => write!(f, "{cause}"),
            Self::Invalid(reasons) => {
                let mut separator = "";
                for reason in reasons {
                    write!(f, "{separator}{reason}")?;
                    separator = "\n";
                }
                Ok(())
            }
            Self::Io(cause) => write!(f, "the CAR cannot be written: {cause}"),
        }
    }
}

impl std::error::Error for PackError {}

/// Packs `folder` into `out/<name>_<version>.car` and returns its path.
///
/// # Errors
/// The folder cannot be read, would make no valid CAR, or the file cannot be written.
pub fn pack(folder: &Path, out: &Path) -> Result<PathBuf, PackError> {
    let files = Bundle::from_folder(folder, &Limits::default()).map_err(PackError::Source)?;
    let unpacked = files.get("artifacts.xml").is_some() || files.get("metadata.xml").is_some();
    let (bundle, name) = if unpacked {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (files, name)
    } else if project::is_application(folder) {
        let project = Project::read(folder, &files).map_err(PackError::Source)?;
        (project.bundle, format!("{}_{}", project.name, project.version))
    } else {
        let message = "is neither a project (pom.xml and src/main/wso2mi) nor an unpacked CAR (artifacts.xml)";
        return Err(PackError::Source(BundleError(format!("{} {message}", folder.display()))));
    };
    let file = format!("{}.car", name.strip_suffix(".car").unwrap_or(&name));
    let every_role = [".*".to_owned()];
    let name = match Car::read(file.as_str().into(), bundle.clone(), &every_role).map_err(PackError::Invalid)? {
        Opened::Car(car) if unpacked => format!("{}.car", car.id()),
        _ => file,
    };
    let bytes = archive(&bundle).map_err(PackError::Io)?;
    std::fs::create_dir_all(out).map_err(PackError::Io)?;
    let path = out.join(&name);
    let part = out.join(format!(".{name}.part"));
    // Renamed into place, so that a server that watches the folder never sees a half.
    std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &path)).map_err(PackError::Io)?;
    Ok(path)
}

fn archive(bundle: &Bundle) -> Result<Vec<u8>, std::io::Error> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default()).unix_permissions(0o644);
    for (path, bytes) in bundle.iter() {
        writer.start_file(path, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::TempDir;
    use crate::{Environment, Home, load};
    use mi_config::Deployment;

    const NS: &str = "xmlns='http://ws.apache.org/ns/synapse'";

    fn project(dir: &TempDir, at: &str) {
        dir.write(
            &format!("{at}/pom.xml"),
            "<project xmlns='http://maven.apache.org/POM/4.0.0'><groupId>org.x</groupId><artifactId>Shop</artifactId>\
             <version>1.2.0</version></project>",
        );
        let main = format!("{at}/src/main/wso2mi");
        let api = format!("<api {NS} name='ShopAPI' context='/shop'><resource methods='GET'/></api>");
        dir.write(&format!("{main}/artifacts/apis/ShopAPI.xml"), api);
        dir.write(&format!("{main}/artifacts/sequences/s.xml"), format!("<sequence {NS} name='s'/>"));
        dir.write(&format!("{main}/resources/api-definitions/ShopAPI.yaml"), "openapi: 3.0.0");
        dir.write(&format!("{main}/resources/datamapper/m/m.dmc"), "map");
        dir.write(&format!("{main}/resources/registry/conf/x/a.xsl"), "<xsl/>");
        dir.write(&format!("{main}/resources/conf/config.properties"), "");
    }

    #[test]
    fn a_project_packs_into_a_car_that_deploys_like_the_folder() {
        let dir = TempDir::new();
        project(&dir, "src/shop");
        project(&dir, "home1/carbonapps/shop");
        let made = pack(&dir.path().join("src/shop"), &dir.path().join("home2/carbonapps")).unwrap();
        assert_eq!(made.file_name().unwrap(), "Shop_1.2.0.car");
        let again = pack(&dir.path().join("src/shop"), &dir.path().join("again")).unwrap();
        assert_eq!(std::fs::read(&made).unwrap(), std::fs::read(again).unwrap());
        for home in ["home1", "home2"] {
            let home = Home::locate(&dir.path().join(home));
            let loaded = load(&home, &Deployment::default(), &Environment::default());
            assert!(loaded.faulty.is_empty() && loaded.diagnostics.is_empty(), "{:?}", loaded.faulty);
            let names: Vec<&str> = loaded.artifacts.iter().map(|it| it.artifact.name()).collect();
            assert_eq!((names, loaded.applications[0].id.as_ref()), (vec!["s", "ShopAPI"], "Shop_1.2.0"));
            assert_eq!(loaded.registry.bytes("resources:datamapper/m/m.dmc").as_deref(), Some(&b"map"[..]));
            assert_eq!(loaded.registry.bytes("conf:x/a.xsl").as_deref(), Some(&b"<xsl/>"[..]));
            assert_eq!(loaded.api_definitions["ShopAPI"].as_ref(), b"openapi: 3.0.0");
        }
    }

    #[test]
    fn other_folders_are_refused() {
        let dir = TempDir::new();
        dir.write("a/readme.md", "x");
        assert!(matches!(pack(&dir.path().join("a"), dir.path()), Err(PackError::Source(_))));
        dir.write("b/artifacts.xml", "<artifacts/>");
        assert!(matches!(pack(&dir.path().join("b"), dir.path()), Err(PackError::Invalid(_))));
        dir.write("c/src/main/wso2mi/artifacts/apis/a.xml", "<api/>");
        let error = pack(&dir.path().join("c"), dir.path()).unwrap_err();
        assert!(error.to_string().contains("has no pom.xml"), "{error}");
    }
}
