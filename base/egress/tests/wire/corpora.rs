//! What others test their guards with. None of it is kept here: npm packages are fetched in the full
//! run (`CHANCERY_FULL=1`), and `url`'s own tests stand in its package, which is here to be built.
//!
//! Where a corpus says otherwise than we do, the difference stands in a list with its reason, and a
//! difference that is not there, or is there for nothing, fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chancery_egress::{Egress, Reach, Rules, Settings, Target};
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{NameServer, settings};

fn is_full() -> bool {
    std::env::var_os("CHANCERY_FULL").is_some()
}

/// Fetches a package of npm and gives the folder of its files.
fn npm(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let packed = Command::new("npm").args(["pack", "--silent", name]).current_dir(&folder).output().unwrap();
    assert!(packed.status.success(), "`npm pack {name}`: {}", String::from_utf8_lossy(&packed.stderr));
    let archive = String::from_utf8(packed.stdout).unwrap();
    let unpacked = Command::new("tar").args(["xzf", archive.trim()]).current_dir(&folder).status().unwrap();
    assert!(unpacked.success());
    folder.join("package")
}

/// The strings of an array that a script of CommonJS exports.
fn exported(script: &Path) -> Vec<String> {
    let print = "console.log(JSON.stringify(require(process.argv[1])))";
    let output = Command::new("node").args(["-e", print]).arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The strings, one a line, of the array with this name in a script.
fn array(script: &str, name: &str) -> Vec<String> {
    let (_, rest) = script.split_once(&format!("const {name} = [")).unwrap();
    let (inner, _) = rest.split_once(']').unwrap();
    inner
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').strip_prefix('\'')?.strip_suffix('\''))
        .map(str::to_owned)
        .collect()
}

/// A way out that lets plain HTTP pass, so that hosts alone are judged; every name is a public one.
async fn judge() -> (Egress, NameServer) {
    let name_server = NameServer::always(&[[8, 8, 8, 8].into()]).await;
    let everything = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
    let rules = Rules { allow_plain_http: everything.to_vec(), ..Rules::default() };
    let egress =
        Egress::new(Settings { rules, name_servers: vec![name_server.address], ..settings() }).unwrap();
    (egress, name_server)
}

/// The entries of which we say otherwise, with what we say.
async fn differing(egress: &Egress, urls: &[String], expected: bool) -> BTreeMap<String, String> {
    let mut differing = BTreeMap::new();
    for url in urls {
        let report = egress.check(url, Reach::Public, Instant::now() + Duration::from_secs(10)).await;
        if report.is_allowed() != expected {
            differing.insert(url.clone(), report.verdict.to_string());
        }
    }
    differing
}

/// Fails unless the differences are those of the list: a piece of our verdict, how many entries it is
/// about, and why we say so.
#[track_caller]
fn explain(differing: &BTreeMap<String, String>, reasons: &[(&str, usize, &str)]) {
    let mut left = differing.clone();
    for (piece, count, reason) in reasons {
        let before = left.len();
        left.retain(|_, verdict| !verdict.contains(piece));
        assert_eq!(before - left.len(), *count, "`{piece}` ({reason}) in {differing:#?}");
    }
    assert!(left.is_empty(), "unexplained: {left:#?}");
}

#[tokio::test]
async fn ssrfcheck_is_refused_where_it_says_so_and_allowed_but_for_reasons() {
    if !is_full() {
        return;
    }
    let package = npm("ssrfcheck@1.4.0");
    let read = |name: &str| exported(&package.join("tests/data").join(name));
    let (egress, _names) = judge().await;

    let deny = read("should-not-pass.js");
    assert_eq!(deny.len(), 217);
    explain(&differing(&egress, &deny, false).await, &[]);

    let (urls, addresses) = (read("should-pass.js"), read("valid-ips-list.js"));
    assert_eq!(urls.len() + addresses.len(), 137);
    explain(
        &differing(&egress, &urls, true).await,
        &[
            ("does not begin with", 30, "a scheme is not guessed"),
            ("blanks", 2, "what encodes them, or drops them, reads another URL"),
            ("behind an IPv4 translator", 4, "the block is refused, whatever is behind it"),
            ("IPv4-compatible", 1, "the block is refused"),
            ("translated IPv4", 1, "the block is refused"),
            ("spelled in another way", 1, "circled letters are not what is connected to"),
        ],
    );
    let addresses: Vec<String> = addresses.iter().map(|address| format!("http://{address}/")).collect();
    explain(&differing(&egress, &addresses, true).await, &[]);
}

#[tokio::test]
async fn private_ip_is_refused_where_it_says_so_and_allowed_but_for_reasons() {
    if !is_full() {
        return;
    }
    let script = std::fs::read_to_string(npm("private-ip@3.0.2").join("test.js")).unwrap();
    let urls = |name| -> Vec<String> {
        let as_url = |host: String| {
            if host.contains(':') { format!("http://[{host}]/") } else { format!("http://{host}/") }
        };
        array(&script, name).into_iter().map(as_url).collect()
    };
    let (egress, _names) = judge().await;
    let (private, public) = (urls("priv_ips"), urls("pub_ips"));
    assert_eq!((private.len(), public.len()), (136, 31));
    explain(&differing(&egress, &private, false).await, &[]);
    explain(
        &differing(&egress, &public, true).await,
        &[
            ("multicast", 2, "it is for private-ip, too, but for two that it forgot"),
            ("assigned to nobody", 12, "outside 2000::/3"),
            ("set aside for protocols", 3, "2001::/23"),
            ("is a private address", 1, "site-local, fec0::/10"),
        ],
    );
}

/// The tests of the standard's own, as `url` has them: what we read, we read as the standard says.
#[test]
fn what_is_read_of_a_url_is_what_the_standard_reads() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(manifest)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let url = packages.iter().find(|package| package["name"] == "url").unwrap();
    let folder = Path::new(url["manifest_path"].as_str().unwrap()).parent().unwrap();
    let text = std::fs::read_to_string(folder.join("tests/urltestdata.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();

    let (mut read, mut refused) = (0, 0);
    for case in cases.iter().filter(|case| case["input"].is_string()) {
        let input = case["input"].as_str().unwrap();
        let Ok(target) = Target::parse(input) else {
            refused += 1;
            continue;
        };
        read += 1;
        assert_ne!(case["failure"], Value::Bool(true), "{input:?}");
        let standard = case["href"].as_str().unwrap().split('#').next().unwrap();
        assert_eq!(target.as_str(), standard, "{input:?}");
        assert_eq!((&case["username"], &case["password"]), (&"".into(), &"".into()), "{input:?}");
    }
    assert!(read > 30 && refused > 500, "{read} read, {refused} refused");
}
