//! `/logs`: the files of the log folder. MI: `LogFilesResource`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mi_engine::transport::{HttpReply, Payload};
use mi_message::{BodyStream, BoxError};
use serde_json::json;

use super::applications::inside;
use crate::answer;
use crate::context::ManagementContext;
use crate::request::Request;

const CHUNK: u64 = 64 * 1024;
/// Files of one answer.
const MAX_FILES: usize = 10_000;

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if let Some(name) = request.query("file").filter(|name| !name.is_empty()) {
        return content(cx, name);
    }
    let searched = request.searches();
    let mut files = files(cx);
    if files.is_empty() {
        files.push(("NO_LOG_FILES".to_owned(), "---".to_owned()));
    }
    let found = files.into_iter().filter(|(name, _)| searched(name));
    answer::list(found.map(|(name, size)| json!({"FileName": name, "Size": size})).collect())
}

fn files(cx: &ManagementContext) -> Vec<(String, String)> {
    let Some(listed) = cx.paths.logs.as_deref().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return Vec::new();
    };
    let mut files: Vec<(String, String)> = listed
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let metadata = entry.metadata().ok()?;
            (metadata.is_file() && entry.path().extension().is_none_or(|it| it != "lck"))
                .then(|| (name, size(metadata.len())))
        })
        .take(MAX_FILES)
        .collect();
    files.sort();
    files
}

/// MI: `Utils#getFileSize`.
fn size(bytes: u64) -> String {
    const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    let mut value = bytes as f64;
    let mut unit = None;
    for letter in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = Some(letter);
    }
    unit.map_or_else(|| format!("{bytes} B"), |unit| format!("{value:.1} {unit}B"))
}

fn content(cx: &ManagementContext, name: &str) -> HttpReply {
    let body = cx.paths.logs.as_deref().and_then(|folder| stream_file(&inside(folder, name)?, folder));
    let Some(body) = body else { return answer::bare(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut reply = HttpReply::new(StatusCode::OK);
    reply.headers.set("Content-Type", "application/txt");
    reply.body = Payload::Stream(body);
    reply
}

/// A file as a stream, as long as it is now. `None` when it is not a file, or a link that leads out of the folder.
pub(super) fn stream_file(path: &Path, folder: &Path) -> Option<BodyStream> {
    let real = path.canonicalize().ok()?;
    if !real.starts_with(folder.canonicalize().ok()?) {
        return None;
    }
    let file = File::open(real).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() {
        return None;
    }
    let frames = stream::try_unfold((file, metadata.len()), |(mut file, left)| async move {
        let mut chunk = Vec::new();
        let length = (&mut file).take(left.min(CHUNK)).read_to_end(&mut chunk)? as u64;
        let next = (!chunk.is_empty()).then(|| (Frame::data(Bytes::from(chunk)), (file, left.saturating_sub(length))));
        Ok::<_, BoxError>(next)
    });
    Some(StreamBody::new(frames).boxed_unsync())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (9, "9 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1_572_864, "1.5 MB"), (u64::MAX, "16.0 EB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
