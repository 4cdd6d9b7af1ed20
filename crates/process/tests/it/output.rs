use schleuse_model::Secret;
use schleuse_process::Program;

use super::support::sh;

#[tokio::test]
async fn nothing_is_inherited() {
    let finished = Program::new("/usr/bin/env").env("B", "2").env("A", "1").run().await.unwrap();
    assert_eq!(finished.stdout.whole(), Some(&b"A=1\nB=2\n"[..]));
    let finished = sh("env").run().await.unwrap();
    assert!(finished.stdout.text().contains("PATH=/usr/bin:/bin\n") && !finished.stdout.text().contains("HOME="));
}

#[tokio::test]
async fn arguments_are_not_a_shell_line() {
    let finished = Program::new("/bin/echo").args(["$HOME", "a b", ";", "`id`"]).run().await.unwrap();
    assert_eq!(finished.stdout.text(), "$HOME a b ; `id`\n");
}

#[tokio::test]
async fn a_large_input_goes_through_and_an_unread_one_is_no_error() {
    let million = vec![b'x'; 1_000_000];
    let finished = Program::new("/bin/cat").stdin(million.clone()).output_limit(1_000_000).run().await.unwrap();
    assert_eq!(finished.stdout.whole(), Some(million.as_slice()));
    assert!(sh("exit 0").stdin(million).run().await.unwrap().success());
}

#[tokio::test]
async fn head_and_tail_are_kept_and_the_cut_is_named() {
    let finished =
        sh("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done").output_limit(40).run().await.unwrap();
    let text = finished.stdout.text();
    assert!(text.starts_with("line 0\nline 1\n") && text.ends_with("line 1998\nline 1999\n"), "{text}");
    assert!(text.contains(" bytes cut]"), "{text}");
    assert_eq!(finished.stdout.whole(), None);
}

#[tokio::test]
async fn secrets_are_redacted_across_writes_on_both_streams() {
    let token = Secret::new("s3cr3t-t0ken".to_owned());
    let script = r#"printf "[$TOKEN]"; printf s3cr3t-; sleep 0.2; printf t0ken; printf "$TOKEN" >&2"#;
    let finished = sh(script).secret_env("TOKEN", &token).run().await.unwrap();
    assert_eq!(finished.stdout.text(), "[[redacted]][redacted]");
    assert_eq!(finished.stderr.text(), "[redacted]");
    let shown = format!("{finished:?}");
    assert!(shown.contains("ended: Code(0)") && shown.contains("Captured("), "{shown}");
}

#[tokio::test]
async fn debug_shows_no_output() {
    let finished = sh("echo a-password-nobody-named").run().await.unwrap();
    assert!(!format!("{finished:?}").contains("password"));
}
