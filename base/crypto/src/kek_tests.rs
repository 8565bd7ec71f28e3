use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::{SystemRandom, open, seal, wrap_under};

const PLACE: Context<'_> =
    Context { org: None, table: "data_keys", column: "wrapped", row: "7", purpose: "wrap" };

fn new() -> (TempDir, PathBuf, Custody) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek.toml");
    let custody = Custody::create(&path, &SystemRandom).unwrap();
    (folder, path, custody)
}

fn data_key() -> DataKey {
    DataKey::generate(Uuid::from_u128(7), &SystemRandom)
}

fn same(one: &DataKey, two: &DataKey) -> bool {
    open(two, &PLACE, &seal(one, &PLACE, b"x", &SystemRandom)).is_ok()
}

#[test]
fn a_created_file_loads_as_the_same_installation() {
    let (_folder, path, created) = new();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().starts_with("# The key file of a Chancery installation."));
    let loaded = Custody::load(&path).unwrap();
    assert_eq!(loaded.installation_id(), created.installation_id());
    assert_eq!(loaded.active_version(), 1);
    assert_eq!(loaded.derive("a"), created.derive("a"));
    assert_ne!(loaded.derive("a"), loaded.derive("b"));
    let key = data_key();
    let wrapped = created.wrap(&PLACE, &key, &SystemRandom).unwrap();
    assert!(same(&key, &loaded.unwrap(&PLACE, key.id(), &wrapped.bytes).unwrap()));
}

#[test]
fn two_installations_share_nothing() {
    let ((_a, _, one), (_b, _, two)) = (new(), new());
    assert_ne!(one.installation_id(), two.installation_id());
    assert_ne!(one.derive("a"), two.derive("a"));
    let key = data_key();
    let wrapped = one.wrap(&PLACE, &key, &SystemRandom).unwrap();
    let error = two.unwrap(&PLACE, key.id(), &wrapped.bytes).unwrap_err();
    assert!(matches!(error, OpenError::UnknownKek { version: 1 }), "{error}");
}

#[test]
fn a_file_is_never_made_silently_nor_replaced() {
    let (folder, path, _) = new();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Custody::create(&path, &SystemRandom).unwrap_err(), KekError::Exists { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);

    let missing = folder.path().join("missing.toml");
    let error = Custody::load(&missing).unwrap_err();
    assert!(
        matches!(&error, KekError::Missing { .. })
            && error.to_string().contains("restore it from its backup")
    );
    assert!(!missing.exists());

    let dangling = folder.path().join("dangling.toml");
    symlink(&missing, &dangling).unwrap();
    assert!(matches!(Custody::create(&dangling, &SystemRandom).unwrap_err(), KekError::Exists { .. }));
}

#[test]
fn a_file_open_to_others_is_refused_and_the_fix_named() {
    let (_folder, path, custody) = new();
    let key = data_key();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Custody::load(&path).unwrap_err();
        assert!(matches!(error, KekError::Exposed { mode: seen, .. } if seen == mode), "{mode:o}: {error}");
        assert!(error.to_string().contains("chmod 600"));
        assert!(custody.wrap(&PLACE, &key, &SystemRandom).is_err(), "also while running");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(Custody::load(&path).is_ok(), "{mode:o}");
    }
}

#[test]
fn a_malformed_file_is_refused_without_quoting_it() {
    let (_folder, path, _) = new();
    let good = fs::read_to_string(&path).unwrap();
    let keks = &good[good.find("[[kek]]\nid").unwrap()..];
    let canary = good.lines().find(|line| line.starts_with("key = ")).unwrap().trim_start_matches("key = ");
    for (bad, reason) in [
        (String::new(), "missing field `installation_id`"),
        ("\u{0}\u{1}".to_owned(), "does not read"),
        (good.replace(keks, ""), "missing field `kek`"),
        (good.replace(keks, "kek = []"), "no `[[kek]]`"),
        (good.replace("version = 1", "version = 0"), "begin with 1"),
        (good.replace("version = 1", "version = -1"), "does not read"),
        (good.replace("version = 1", "version = \"1\""), "does not read"),
        (good.replace("version = 1", "version = 1\nextra = 1"), "does not read"),
        (good.clone() + "\n" + keks, "twice"),
        (good.replace(canary, "\"c2hvcnQ=\""), "does not read"),
        (good.replace(canary, &canary.replace('=', "!")), "line 17 does not read"),
        (good.replace(canary, canary.trim_end_matches('"')), "does not read"),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = Custody::load(&path).unwrap_err();
        assert!(matches!(&error, KekError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}\n{bad}");
        assert!(!format!("{error} {error:?}").contains(&canary[1..20]));
    }
    fs::write(&path, b"\xff\xfe").unwrap();
    assert!(matches!(Custody::load(&path).unwrap_err(), KekError::Malformed { .. }));
    assert!(Custody::load(path.parent().unwrap()).is_err(), "a folder");
}

#[test]
fn a_rotation_is_seen_by_another_process() {
    let (_folder, path, one) = new();
    let two = Custody::load(&path).unwrap();
    let key = data_key();
    let old = one.wrap(&PLACE, &key, &SystemRandom).unwrap();
    assert_eq!(one.add_version(&SystemRandom).unwrap(), 2);
    assert_eq!(one.active_version(), 2);
    let new = one.wrap(&PLACE, &key, &SystemRandom).unwrap();
    assert_eq!((old.kek_version, new.kek_version), (1, 2));

    assert_eq!(two.active_version(), 1);
    assert!(same(&key, &two.unwrap(&PLACE, key.id(), &new.bytes).unwrap()));
    assert!(same(&key, &two.unwrap(&PLACE, key.id(), &old.bytes).unwrap()));
    assert_eq!(two.active_version(), 2);
    assert_eq!(two.derive("a"), one.derive("a"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn nothing_is_wrapped_under_a_version_that_another_process_retired() {
    let (_folder, path, one) = new();
    let stale = Custody::load(&path).unwrap();
    one.add_version(&SystemRandom).unwrap();
    one.drop_versions_before(2).unwrap();
    assert_eq!(stale.active_version(), 1);
    assert_eq!(stale.wrap(&PLACE, &data_key(), &SystemRandom).unwrap().kek_version, 2);
}

#[test]
fn dropped_versions_are_gone_and_the_one_in_use_stays() {
    let (_folder, path, custody) = new();
    let key = data_key();
    let old = custody.wrap(&PLACE, &key, &SystemRandom).unwrap();
    custody.add_version(&SystemRandom).unwrap();
    assert!(matches!(custody.drop_versions_before(3).unwrap_err(), KekError::InUse { active: 2 }));
    assert!(custody.unwrap(&PLACE, key.id(), &old.bytes).is_ok());
    assert_eq!((custody.versions_before(2), custody.versions_before(1)), (1, 0));
    custody.drop_versions_before(2).unwrap();
    assert_eq!(custody.versions_before(2), 0);
    for custody in [custody, Custody::load(&path).unwrap()] {
        let error = custody.unwrap(&PLACE, key.id(), &old.bytes).unwrap_err();
        assert!(matches!(error, OpenError::UnknownKek { version: 1 }), "{error}");
    }
}

#[test]
fn rotations_by_several_processes_at_once_lose_no_version() {
    let (_folder, path, custody) = new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let other = Custody::load(&path).unwrap();
                let key = data_key();
                for _ in 0..5 {
                    other.add_version(&SystemRandom).unwrap();
                    let wrapped = other.wrap(&PLACE, &key, &SystemRandom).unwrap();
                    assert!(same(&key, &custody.unwrap(&PLACE, key.id(), &wrapped.bytes).unwrap()));
                }
            });
        }
    });
    assert_eq!(Custody::load(&path).unwrap().active_version(), 21);
}

#[test]
fn a_file_left_by_a_crash_does_not_stop_a_rotation() {
    let (_folder, path, custody) = new();
    fs::write(path.with_file_name("kek.toml.new"), "half a fi").unwrap();
    assert_eq!(custody.add_version(&SystemRandom).unwrap(), 2);
    assert!(!path.with_file_name("kek.toml.new").exists());
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let (folder, path, _) = new();
    let link = folder.path().join("link.toml");
    symlink(&path, &link).unwrap();
    Custody::load(&link).unwrap().add_version(&SystemRandom).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(Custody::load(&path).unwrap().active_version(), 2);
}

#[test]
fn the_file_of_another_installation_is_not_taken_up() {
    let ((_a, path, custody), (_b, other, _)) = (new(), new());
    fs::copy(&other, &path).unwrap();
    let error = custody.wrap(&PLACE, &data_key(), &SystemRandom).unwrap_err();
    assert!(matches!(error, OpenError::Kek(KekError::OtherInstallation { .. })), "{error}");
    assert!(matches!(custody.add_version(&SystemRandom).unwrap_err(), KekError::OtherInstallation { .. }));
}

#[test]
fn a_wrapped_key_is_bound_to_its_place_and_its_name() {
    let (_folder, _, custody) = new();
    let key = data_key();
    let wrapped = custody.wrap(&PLACE, &key, &SystemRandom).unwrap();
    assert!(custody.unwrap(&Context { row: "8", ..PLACE }, key.id(), &wrapped.bytes).is_err());
    assert!(custody.unwrap(&PLACE, Uuid::from_u128(8), &wrapped.bytes).is_err());
    for bit in 0..wrapped.bytes.len() * 8 {
        let mut altered = wrapped.bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(custody.unwrap(&PLACE, key.id(), &altered).is_err(), "bit {bit}");
    }
    let under_a_data_key = wrap_under(&key, &PLACE, &data_key(), &SystemRandom);
    assert!(custody.unwrap(&PLACE, key.id(), &under_a_data_key).is_err());
}

#[test]
fn debug_output_holds_no_secret() {
    let (_folder, path, custody) = new();
    let text = fs::read_to_string(path).unwrap();
    let debug = format!("{custody:?}");
    assert!(debug.contains("active_version: 1"));
    for secret in text.lines().filter(|line| line.contains("secret = ") || line.starts_with("key = ")) {
        assert!(!debug.contains(secret.split('"').nth(1).unwrap()));
    }
    assert!(!debug.contains("secret") && !debug.contains("key:"));
}

#[test]
fn threads_share_custody() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Custody>();
    shared::<DataKey>();
    shared::<crate::SigningKey>();
}
