//! `pgprime alerts`

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::{command, pgprime, refused};
use crate::harness::stdout_of;

/// Answers so many requests with a status; gives what was posted.
fn server(status: u16, requests: usize) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let thread = std::thread::spawn(move || (0..requests).map(|_| answer(&listener, status)).collect());
    (url, thread)
}

fn answer(listener: &TcpListener, status: u16) -> String {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    write!(reader.get_mut(), "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    String::from_utf8(body).unwrap()
}

fn config(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pgprime.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_test_reaches_each_channel_and_tells_which_failed() {
    let ((good, heard), (bad, refusing)) = (server(200, 2), server(404, 1));
    let channel = |name: &str, kind: &str, url: &str| {
        format!("[[alerts.channels]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl_file = \"{url}\"\n")
    };
    let text = "[alerts]\nsource = \"insurance at db1\"\n".to_owned() + &channel("team", "slack", "good.url");
    let (folder, path) = config(&text);
    fs::write(folder.path().join("good.url"), format!("{good}/topsecret\n")).unwrap();
    fs::write(folder.path().join("bad.url"), format!("{bad}/topsecret\n")).unwrap();
    let text_out = stdout_of(&pgprime(&["alerts", "test", "--config", &path]));
    assert_eq!(text_out, "ok      team  delivered");

    fs::write(&path, text + &channel("on call", "webhook", "bad.url")).unwrap();
    let output = command(&["alerts", "test", "--json"]).env("PGPRIME_CONFIG", &path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&report["deliveries"][0]["ok"], &report["deliveries"][0]["channel"]),
        (&true.into(), &"team".into())
    );
    assert_eq!(report["deliveries"][1]["ok"], false, "{report}");
    assert!(report["deliveries"][1]["detail"].as_str().unwrap().contains("404"), "{report}");
    assert!(!said.contains("topsecret"), "{said}");
    let heard = heard.join().unwrap();
    assert!(heard.iter().all(|body| body.contains("insurance at db1")), "{heard:?}");
    assert_eq!(refusing.join().unwrap().len(), 1);
}

#[test]
fn rules_in_force_and_mistakes() {
    let (folder, path) = config(
        "[[alerts.rules]]\ncheck = \"connections.used\"\nseverity = \"critical\"\nfor = \"33s\"\n\
         [[alerts.rules]]\ncheck = \"bloat.indexes\"\nseverity = \"warning\"\nenabled = false\n",
    );
    let text = stdout_of(&pgprime(&["alerts", "rules", "--config", &path]));
    assert!(text.contains("warning after 5m; critical after 33s"), "{text}");
    let json = stdout_of(&pgprime(&["alerts", "rules", "--config", &path, "--json"]));
    let rules: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names: Vec<&str> =
        rules.as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"bloat.indexes.critical") && !names.contains(&"bloat.indexes.warning"),
        "{names:?}"
    );

    refused(&pgprime(&["alerts", "test", "--config", &path]), 2, "there is no [[alerts.channels]] in");
    // Without a configuration the default rules hold, and nobody is told of them.
    let alone =
        |arguments: &[&str]| command(arguments).current_dir(folder.path().join("..")).output().unwrap();
    assert!(stdout_of(&alone(&["alerts", "rules"])).contains("disk.free: The disk is filling up"));
    fs::write(&path, "[[alerts.rules]]\ncheck = \"disk.fre\"\nseverity = \"warning\"\n").unwrap();
    refused(&pgprime(&["alerts", "rules", "--config", &path]), 2, "there is no such check");
    refused(&pgprime(&["alerts", "rules", "--config", "/no/such/file"]), 2, "cannot read /no/such/file");
    refused(&pgprime(&["alerts"]), 2, "Usage: pgprime alerts");
}
