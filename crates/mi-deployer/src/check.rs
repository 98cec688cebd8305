//! Two artifacts of one kind and name: the first one stays.

use std::path::Path;
use std::sync::Arc;

use mi_config::{Artifact, ArtifactKind, Diagnostic, Severity};

use crate::load::{Deployed, Origin};

/// An error for each of `new` that `present`, or one before it in `new`, already has.
pub(crate) fn against(new: &[Artifact], present: &[Deployed], file: &Arc<str>, out: &mut Vec<Diagnostic>) {
    let unnamed = |artifact: &Artifact| matches!(artifact.kind(), ArtifactKind::Registry | ArtifactKind::TaskManager);
    for (at, artifact) in new.iter().enumerate().filter(|(_, it)| !unnamed(it)) {
        let same = |other: &Artifact| other.kind() == artifact.kind() && other.name() == artifact.name();
        let elsewhere = present.iter().find(|it| same(&it.artifact)).map(|it| match &it.origin {
            Origin::Application(id) => format!("the application {id}"),
            Origin::File(path) => path.display().to_string(),
        });
        let owner = elsewhere.or_else(|| new[..at].iter().any(same).then(|| file.to_string()));
        let Some(owner) = owner else { continue };
        let (line, column) = artifact.position();
        let message = format!("the {} {} is already deployed from {owner}", artifact.kind(), artifact.name());
        let error = Diagnostic::of_file(Severity::Error, artifact.source().name.clone(), message).at(line, column);
        out.push(Diagnostic { artifact: Some(artifact.name().to_owned()), ..error });
    }
}

/// Says in the debug log when a file is called other than its artifact; both are fine.
pub(crate) fn name_file(artifact: &mut Artifact, path: &Path) {
    if path.file_stem().is_some_and(|stem| stem != artifact.name()) {
        log::debug!("{} holds the {} {}", path.display(), artifact.kind(), artifact.name());
    }
}
