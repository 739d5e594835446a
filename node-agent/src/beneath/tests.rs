use super::walk::PLACE;
use super::*;
use proptest::prelude::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn inode(fd: &OwnedFd) -> u64 {
    rustix::fs::fstat(fd).unwrap().st_ino
}

fn code(e: &io::Error) -> Option<i32> {
    e.raw_os_error()
}

/// A volume as a container may leave it, in a directory with something outside.
fn planted() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    std::fs::create_dir_all(at("outside/dir")).unwrap();
    std::fs::write(at("outside/secret"), "host").unwrap();
    std::fs::create_dir_all(at("v/ok/deep")).unwrap();
    std::fs::write(at("v/ok/f"), "fine").unwrap();
    for (name, target) in [
        ("evil", "/"),
        ("abs", at("outside").to_str().unwrap()),
        ("rel", "../outside"),
        ("far", "../../../../../../../../.."),
        ("good", "ok"),
        ("round", "ok/deep/../../ok/f"),
        ("ok/up", "../good"),
        ("loop", "loop"),
        ("none", "missing"),
    ] {
        symlink(target, at("v").join(name)).unwrap();
    }
    let dir = Dir::open(&at("v")).unwrap();
    (temp, dir)
}

#[test]
fn links_are_followed_as_far_as_they_stay() {
    let (temp, dir) = planted();
    for resolve in [|d: &Dir, p: &Path| d.resolve(p), |d: &Dir, p: &Path| walk::resolve(d, p)] {
        for (path, want) in [("ok/f", "ok/f"), ("good/f", "ok/f"), ("round", "ok/f"), ("ok/up/deep", "ok/deep"), ("./ok/.", "ok"), (".", "")] {
            let wanted = std::fs::metadata(temp.path().join("v").join(want)).unwrap().ino();
            assert_eq!(inode(&resolve(&dir, Path::new(path)).unwrap()), wanted, "{path}");
        }
        for path in ["evil", "evil/etc", "abs/secret", "rel", "rel/secret", "far", "good/../..", "..", "/etc", "ok/up/../../x"] {
            assert_eq!(code(&resolve(&dir, Path::new(path)).unwrap_err()), Some(Errno::XDEV.raw_os_error()), "{path}");
        }
        assert_eq!(code(&resolve(&dir, Path::new("loop")).unwrap_err()), Some(Errno::LOOP.raw_os_error()));
        assert_eq!(resolve(&dir, Path::new("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(code(&resolve(&dir, Path::new("ok/f/x")).unwrap_err()), Some(Errno::NOTDIR.raw_os_error()));
    }
}

#[test]
fn missing_directories_are_made_inside_only() {
    let (temp, dir) = planted();
    dir.resolve_or_make(Path::new("good/a/b"), 0o2770).unwrap();
    let made = std::fs::metadata(temp.path().join("v/ok/a/b")).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o2770);
    for path in ["evil/made", "abs/made", "rel/made", "far/made", "none", "none/made", "loop/made", "ok/f/made"] {
        dir.resolve_or_make(Path::new(path), 0o755).unwrap_err();
    }
    assert!(!temp.path().join("outside/made").exists() && !Path::new("/made").exists() && !temp.path().join("v/missing").exists());
}

#[test]
fn only_regular_files_are_read_and_never_more_than_asked() {
    let (temp, dir) = planted();
    let v = temp.path().join("v");
    assert_eq!(dir.sub("ok").unwrap().read("f", 4).unwrap(), b"fine");
    assert_eq!(dir.sub("ok").unwrap().read("f", 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    symlink(temp.path().join("outside/secret"), v.join("leak")).unwrap();
    rustix::fs::mkfifoat(&dir, "pipe", Mode::RUSR).unwrap();
    let sparse = std::fs::File::create(v.join("sparse")).unwrap();
    sparse.set_len(100 << 30).unwrap();
    for name in ["leak", "pipe", "sparse", "ok", "..", "ok/f", ""] {
        dir.read(name, 4096).unwrap_err();
    }
    for name in ["leak", "pipe", "ok"] {
        read_end(&v.join(name), 10).unwrap_err();
    }
    assert_eq!(read_end(&v.join("sparse"), 3).unwrap(), (vec![0; 3], true));
    assert_eq!(read_end(&v.join("ok/f"), 10).unwrap(), (b"fine".to_vec(), false));
}

#[test]
fn removal_follows_nothing() {
    let (temp, dir) = planted();
    let parent = Dir::open(temp.path()).unwrap();
    drop(dir);
    remove(&parent, "v".as_ref()).unwrap();
    remove(&parent, "v".as_ref()).unwrap();
    assert!(!temp.path().join("v").exists());
    assert_eq!(std::fs::read_to_string(temp.path().join("outside/secret")).unwrap(), "host");
    assert!(remove(&parent, "..".as_ref()).is_err() && remove(&parent, "a/b".as_ref()).is_err());
}

/// A depth that the table of descriptors has no room for.
#[test]
fn removal_takes_any_depth_and_number() {
    let temp = tempfile::tempdir().unwrap();
    let top = Dir::open(temp.path()).unwrap();
    let mut deepest = top.make("v", 0o755).unwrap();
    // a name that the removal itself would give
    deepest.make("..1-0", 0o755).unwrap();
    for _ in 0..1200 {
        deepest = deepest.make("d", 0o755).unwrap();
    }
    deepest.create("file", 0o644).unwrap();
    drop(deepest);
    let many = top.sub("v").unwrap();
    (0..2500).for_each(|i| drop(many.create(format!("f{i}"), 0o644).unwrap()));
    remove(&top, "v".as_ref()).unwrap();
    assert_eq!(temp.path().read_dir().unwrap().count(), 0);
}

/// A mount in the same file system has the same device: only the kernel's number of it tells.
#[test]
fn mounts_are_told_apart_by_number() {
    let (root, proc) = (rustix::fs::open("/", PLACE, Mode::empty()).unwrap(), rustix::fs::open("/proc", PLACE, Mode::empty()).unwrap());
    let etc = rustix::fs::open("/proc/self", PLACE, Mode::empty()).unwrap();
    assert!(remove::same_mount(&proc, &etc) && !remove::same_mount(&root, &proc));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Both ways agree on any path over any links, and nothing that is reached is outside.
    #[test]
    fn the_walk_does_what_the_kernel_does(links in proptest::collection::vec(("[ab]", "(/|\\.\\./|\\./|[abcd]/?){1,6}"), 0..6), path in "(\\.\\./|\\./|[abcd]/?){1,6}") {
        let temp = tempfile::tempdir().unwrap();
        let v = temp.path().join("v");
        std::fs::create_dir_all(v.join("c/d")).unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        for (i, (name, target)) in links.iter().enumerate() {
            let within = if i % 2 == 0 { v.clone() } else { v.join("c") };
            symlink(target, within.join(name)).ok();
        }
        let dir = Dir::open(&v).unwrap();
        let inside: Vec<u64> = [v.clone(), v.join("c"), v.join("c/d")].iter().map(|p| std::fs::metadata(p).unwrap().ino()).collect();
        match (dir.resolve(Path::new(&path)), walk::resolve(&dir, Path::new(&path))) {
            (Ok(kernel), Ok(own)) => {
                prop_assert_eq!(inode(&kernel), inode(&own));
                prop_assert!(inside.contains(&inode(&own)));
            }
            (Err(_), Err(_)) => {}
            (kernel, own) => prop_assert!(false, "{:?} {:?}", kernel, own),
        }
    }
}
