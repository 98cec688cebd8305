//! `probe`: asks a running server whether it is ready. For images without curl.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::ProbeArgs;

/// Longest answer that is shown.
const MAX_ANSWER: u64 = 64 * 1024;

pub fn run(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let (status, body) = get(&args.url, Duration::from_secs(args.timeout.max(1)))?;
    super::print(&format!("{status} {}", body.trim()))?;
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn get(url: &str, timeout: Duration) -> anyhow::Result<(u16, String)> {
    let Some(rest) = url.strip_prefix("http://") else { bail!("the URL must begin with http://, not '{url}'") };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut last = None;
    for candidate in address.to_socket_addrs().with_context(|| format!("cannot resolve {address}"))? {
        match TcpStream::connect_timeout(&candidate, timeout) {
            Ok(stream) => return ask(stream, authority, path, timeout),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).with_context(|| format!("cannot connect to {address}")),
        None => bail!("{address} has no address"),
    }
}

fn ask(mut stream: TcpStream, authority: &str, path: &str, timeout: Duration) -> anyhow::Result<(u16, String)> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).context("no whole answer in time")?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split_ascii_whitespace().nth(1).and_then(|code| code.parse().ok());
    let Some(status) = status else { bail!("the answer is not HTTP: {}", text.lines().next().unwrap_or_default()) };
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}
