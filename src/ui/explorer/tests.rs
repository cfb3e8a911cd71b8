//! What keys do, by what is seen then.

use super::*;

struct Handmade;

fn line(path: &str, directory: bool, mark: Mark) -> Line {
    Line {
        path: path.to_owned(),
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        depth: path.matches('/').count(),
        size: "1 bytes".to_owned(),
        mark,
        directory,
        about: format!("about {path}"),
        content: (!directory).then_some((0, 0)),
    }
}

impl Source for Handmade {
    fn title(&self) -> String {
        "handmade".to_owned()
    }
    fn parts(&self) -> Vec<Part> {
        let part = |n| Part { line: format!("{n} part"), about: format!("made by {n}") };
        (1..=3).map(part).collect()
    }
    fn tree(&self, part: usize, all: bool) -> Vec<Line> {
        let mut lines = vec![line("etc", true, Mark::Same), line("etc/secret", false, Mark::Added)];
        if part == 2 {
            lines[1].mark = Mark::Removed;
        }
        if all {
            lines.push(line("usr", true, Mark::Same));
            lines.push(line("usr/漢字", false, Mark::Same));
        }
        lines
    }
    fn wasted(&self) -> Vec<Line> {
        vec![line("twice", false, Mark::Same)]
    }
    fn text(&self, _: (usize, usize)) -> Result<String> {
        Ok("key=s3cret\n".repeat(100))
    }
}

fn typed(view: &mut View<'_>, keys: &str) -> String {
    for key in keys.chars() {
        view.handle(Event::Char(key));
    }
    let rows = view.rows(80, 24);
    assert_eq!(rows.len(), 24);
    for row in &rows {
        assert!(width_of(row) <= 80, "{row:?}");
    }
    rows.join("\n")
}

#[test]
fn what_keys_do_is_seen() {
    let mut view = View::new(&Handmade, false);
    let first = typed(&mut view, "");
    assert!(first.contains("1 part") && first.contains("+   1 bytes   "), "{first}");
    let third = typed(&mut view, "jj");
    assert!(third.contains("-   1 bytes") && third.contains("made by 3"), "{third}");
    let all = typed(&mut view, "a");
    assert!(all.contains("usr") && all.contains("漢字"), "{all}");
    let found = typed(&mut view, "/SECR\n");
    assert!(found.contains("secret") && found.contains("etc") && !found.contains("usr"));
    let page = typed(&mut view, "j\n");
    assert!(page.contains("etc/secret  line 1 of 100") && page.contains("key=s3cret"), "{page}");
    let page = typed(&mut view, "G");
    assert!(page.contains("line 80 of 100"), "{page}");
    let back = typed(&mut view, "\u{1b}\u{1b}g\n");
    assert!(back.contains("▸ etc") && !back.contains("secret"), "closed: {back}");
    assert!(typed(&mut view, "w").contains("twice"));
    assert!(!view.handle(Event::Char('q')));
    assert_eq!(view.rows(20, 5).len(), 1);
}

#[test]
fn a_line_has_as_many_columns_as_there_are() {
    assert_eq!(cut("漢字漢", 5), "漢字…");
    assert_eq!(cut("ab", 4), "ab  ");
    assert_eq!(cut("abcde", 4), "abc…");
}
