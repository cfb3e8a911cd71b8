use super::*;

const SUM: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn names_are_read_as_docker_reads_them() {
    for (typed, canonical, familiar) in [
        ("httpd", "docker.io/library/httpd:latest", "httpd:latest"),
        ("httpd:2.4", "docker.io/library/httpd:2.4", "httpd:2.4"),
        ("docker.io/httpd", "docker.io/library/httpd:latest", "httpd:latest"),
        ("index.docker.io/library/httpd", "docker.io/library/httpd:latest", "httpd:latest"),
        ("team/app:1", "docker.io/team/app:1", "team/app:1"),
        ("library/app", "docker.io/library/app:latest", "app:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        (
            "127.0.0.1:5000/library/httpd:2.4",
            "127.0.0.1:5000/library/httpd:2.4",
            "127.0.0.1:5000/library/httpd:2.4",
        ),
        ("[::1]:5000/a/b", "[::1]:5000/a/b:latest", "[::1]:5000/a/b:latest"),
        ("quay.io/a/b.c/d__e-f--g:V1", "quay.io/a/b.c/d__e-f--g:V1", "quay.io/a/b.c/d__e-f--g:V1"),
        ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
        ("base", "localhost/under-the-hood/base:latest", "base"),
        ("localhost/under-the-hood/base", "localhost/under-the-hood/base:latest", "base"),
    ] {
        let name = name(typed);
        assert_eq!((name.to_string(), name.familiar()), (canonical.into(), familiar.into()));
        assert_eq!(canonical.parse::<Name>().unwrap().to_string(), canonical);
    }
    let pinned = name(&format!("httpd@{SUM}"));
    assert_eq!(pinned.to_string(), format!("docker.io/library/httpd@{SUM}"));
    assert_eq!((pinned.tag(), pinned.wanted()), (None, SUM.to_owned()));
    let both = name(&format!("httpd:2.4@{SUM}"));
    assert_eq!((both.tag(), both.wanted()), (Some("2.4"), SUM.to_owned()));
    assert_eq!(both.registry(), "registry-1.docker.io");
    assert!(
        name("base").is_base() && name("base:1").is_local() && !name("library/base").is_local()
    );
}

#[test]
fn what_docker_refuses_is_refused_with_a_remedy() {
    let (long, tag) = ("a".repeat(256), "t".repeat(129));
    for typed in [
        "",
        ":",
        "@",
        "/",
        "a/",
        "/a:",
        "a//b",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a b",
        "ä",
        "HTTPD",
        "a:",
        "a:-x",
        "a:.x",
        "a:b c",
        "a:b/c:",
        "a@",
        "a@sha256:1",
        "a@md5:00",
        "a:1@2:3",
        "x.y/",
        "host:99999/a",
        "host:x/a",
        "-host.com/a",
        "[::g]/a",
        "host..com/a",
        &SUM[7..],
        "a\n",
        "a:\u{1b}[31m",
        "https://docker.io/httpd",
        &long,
        &format!("a:{tag}"),
    ] {
        let error = typed.parse::<Name>().expect_err(typed);
        assert_eq!(error.exit.code(), 2, "{typed}");
        assert!(error.hint.is_some() && !error.to_string().contains(['\u{1b}', '\n']), "{typed}");
    }
    let hint = "HTTPD".parse::<Name>().unwrap_err().hint.unwrap();
    assert!(hint.contains("`httpd`"));
}

#[test]
fn transports_are_skopeos() {
    let reference = |text: &str| text.parse::<Reference>();
    assert_eq!(
        reference("oci:dir:localhost/x:1").unwrap(),
        Reference::Oci { path: "dir".into(), tag: Some("localhost/x:1".to_owned()) }
    );
    assert_eq!(reference("oci:/a/b").unwrap(), Reference::Oci { path: "/a/b".into(), tag: None });
    assert_eq!(
        reference("docker-archive:x.tar:httpd:2").unwrap(),
        Reference::DockerArchive { path: "x.tar".into(), name: Some(name("httpd:2")) }
    );
    assert_eq!(reference("docker-daemon:x").unwrap(), Reference::DockerDaemon("x:latest".into()));
    assert_eq!(
        reference("docker-daemon:abc123").unwrap(),
        Reference::DockerDaemon("abc123".into())
    );
    assert_eq!(reference("docker://httpd").unwrap(), Reference::Named(name("httpd")));
    for wrong in
        ["oci:", "docker-archive:", "docker-daemon:", "docker-daemon:../x", "dir:x", "oci::t"]
    {
        assert_eq!(reference(wrong).unwrap_err().exit.code(), 2, "{wrong}");
    }
    for text in ["oci:d:t", "docker-archive:f", "docker-daemon:x:1", "./p", "httpd:2", "base"] {
        assert_eq!(reference(text).unwrap().to_string(), text);
    }
}

#[test]
fn a_path_is_a_path_and_a_bare_word_is_a_name() {
    for path in ["/tmp", "./x", "../x", ".", "Cargo.toml", "src", "/no/such"] {
        let found = path.parse::<Reference>().unwrap();
        // `src` and `cargo.toml` would do as names.
        let expected = !matches!(path, "src");
        assert_eq!(found == Reference::Path(path.into()), expected, "{path}");
    }
    assert!(matches!("no-such.tar".parse::<Reference>(), Ok(Reference::Named(_))));
}
