//! Notebooks in a real browser: wide, on a phone, by night and on paper, nothing sticks
//! out, nothing lies on something else, all of it can be read; and nothing runs.

use std::path::Path;
use std::process::Command;

use crate::harness::Uth;
use crate::notebook::{hostile, played};

fn chromium(uth: &Uth, args: &[&str], page: &Path) -> String {
    let mut command = uth.beside("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command
        .args(["--hide-scrollbars", &format!("--user-data-dir={}/profile", uth.home().display())]);
    command.args(args).arg(format!("file://{}", page.display()));
    uth.wait(command).ok().stdout
}

/// How often each of some colours is on a picture of the page.
fn pixels(png: &Path, colours: &[[u8; 3]]) -> Vec<usize> {
    let script = "import sys\nfrom PIL import Image\ni = Image.open(sys.argv[1]).convert('RGB')\n\
                  print(*(dict((c, n) for n, c in i.getcolors(1 << 24)).get(tuple(int(h[k:k+2], 16) for k in (0, 2, 4)), 0) for h in sys.argv[2:]))";
    let hex = colours.iter().map(|[r, g, b]| format!("{r:02x}{g:02x}{b:02x}"));
    let output = Command::new("/usr/bin/python3").args(["-c", script]).arg(png).args(hex).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// A real browser shows the pictures (frames filled as the style sheet says), by day,
/// by night and on a phone, and runs nothing that a command has printed.
#[test]
#[ignore = "needs Chromium"]
fn interop_a_browser_shows_the_pictures_and_runs_nothing() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    need!(tool "chromium");
    need!(sh "python3-pil", "/usr/bin/python3 -c 'import PIL'");
    let uth = Uth::new();
    let page = uth.home().join("1.html");
    played(&uth, "1", &page).ok();
    let png = uth.home().join("1.png");
    let shot = format!("--screenshot={}", png.display());
    let (own, shared) = ([0xdc, 0xf0, 0xf4], [0xfb, 0xee, 0xcd]);
    let (own_night, shared_night) = ([0x0f, 0x3a, 0x44], [0x40, 0x34, 0x0f]);
    for (size, dark, colours) in [
        ("--window-size=1000,14000", false, [own, shared]),
        ("--window-size=500,16000", false, [own, shared]),
        ("--window-size=1000,14000", true, [own_night, shared_night]),
    ] {
        let night = "--blink-settings=preferredColorScheme=0";
        let args: Vec<&str> = [size, &shot].into_iter().chain(dark.then_some(night)).collect();
        chromium(&uth, &args, &page);
        let seen = pixels(&png, &colours);
        assert!(seen.iter().all(|count| *count > 3000), "{size} dark: {dark}: {seen:?}");
    }
    // Without its picture the page has none of it.
    let text = std::fs::read_to_string(&page).unwrap().replace("class=\"frame ", "class=\"");
    let none = uth.home().join("none.html");
    std::fs::write(&none, text.replace("<svg", "<svg hidden")).unwrap();
    chromium(&uth, &["--window-size=1000,14000", &shot], &none);
    assert!(pixels(&png, &[own]).iter().all(|count| *count < 3000));
    let (page, _) = hostile(&uth, "h.html");
    let dom = chromium(&uth, &["--dump-dom"], &page);
    assert!(!dom.contains("<script") && dom.contains("&lt;script&gt;alert(1)"), "{dom}");
}

/// Looks at the page from within, and tells whoever shows it what is wrong.
const MEASURE: &str = r#"<script>
addEventListener('load', () => {
  const wide = document.documentElement.clientWidth, found = [], paper = location.hash === '#paper';
  const called = e => `${e.tagName} .${e.getAttribute('class') ?? ''} (${(e.textContent ?? '').trim().slice(0, 40)})`;
  const style = e => getComputedStyle(e), box = e => e.getBoundingClientRect();
  const scrolls = e => e && (['auto', 'scroll'].includes(style(e).overflowX) || scrolls(e.parentElement));
  if (document.documentElement.scrollWidth > wide) found.push(`the page is wider than ${wide}`);
  let things = 0, texts = 0, drawings = 0;
  for (const e of document.querySelectorAll('body *:not(svg *, script)')) {
    const { left, right, width } = box(e);
    if (!width || style(e).display === 'inline') continue;
    things++;
    if ((right > wide + 1 || left < -1) && !scrolls(e.parentElement)) found.push(`sticks out: ${called(e)}`);
    const more = e.scrollWidth > e.clientWidth + 1;
    if (more && style(e).overflowX === 'hidden') found.push(`is cut: ${called(e)}`);
    if (more && paper && e.tagName === 'PRE') found.push(`cannot be scrolled on paper: ${called(e)}`);
  }
  for (const svg of document.querySelectorAll('svg')) {
    const whole = box(svg);
    if (!whole.width) continue;
    drawings++;
    const size = 13 * whole.width / svg.viewBox.baseVal.width;
    if (size < 10.5) found.push(`too small, ${size.toFixed(1)} px: ${called(svg)}`);
    const all = [...svg.querySelectorAll('text')].map(e => [box(e), called(e)]);
    all.forEach(([a, name], n) => {
      texts++;
      if (a.left < whole.left - 1 || a.right > whole.right + 1 || a.top < whole.top - 1 || a.bottom > whole.bottom + 1)
        found.push(`leaves its picture: ${name}`);
      for (const [b, other] of all.slice(n + 1))
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
          found.push(`lies on each other: ${name} and ${other}`);
    });
  }
  // Contrast as WCAG 2 counts it; 4.5 is what it asks of text.
  const value = name => style(document.documentElement).getPropertyValue(`--${name}`).trim();
  const light = name => {
    const hex = value(name).replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3');
    const [r, g, b] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const against = (ink, grounds) => grounds.forEach(ground => {
    const [a, b] = [light(ink), light(ground)].sort((a, b) => b - a), ratio = (a + 0.05) / (b + 0.05);
    if (!(ratio >= 4.5)) found.push(`--${ink} on --${ground}: contrast ${ratio.toFixed(2)}`);
  });
  const pages = ['paper', 'card', 'code'], fills = ['host-fill', 'own-fill', 'shared-fill'];
  for (const ink of ['ink', 'dim']) against(ink, [...pages, ...fills]);
  for (const ink of ['accent', 'good', 'bad', 'open', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan'])
    against(ink, ['paper', 'card']);
  parent.postMessage([`${things} ${texts} ${drawings}`, ...found].join('\n'), '*');
});
</script>"#;

/// How somebody looks at it.
struct Way {
    name: &'static str,
    columns: u32,
    dark: bool,
    paper: bool,
}

const WAYS: [Way; 5] = [
    Way { name: "wide", columns: 1000, dark: false, paper: false },
    Way { name: "at night", columns: 1000, dark: true, paper: false },
    Way { name: "on a phone", columns: 390, dark: false, paper: false },
    Way { name: "on a phone at night", columns: 390, dark: true, paper: false },
    // A4 within its margins.
    Way { name: "on paper", columns: 680, dark: false, paper: true },
];

/// What is wrong with a copy of the page, looked at in this way.
fn measured(uth: &Uth, page: &str, way: &Way) -> Vec<String> {
    let mut page = page.replace("</body>", &format!("{MEASURE}</body>"));
    assert!(page.contains(MEASURE), "the page has no end");
    // The page itself forbids what has just been put into it.
    page = page.replace("http-equiv=\"Content-Security-Policy\"", "name=\"forbade\"");
    if way.paper {
        // As a printer sees it.
        page = page.replace("@media print", "@media all");
    }
    std::fs::write(uth.home().join("copy.html"), page).unwrap();
    let around = uth.home().join("around.html");
    let frame = format!(
        "<!DOCTYPE html><title>x</title><pre></pre><script>addEventListener('message', e => \
         document.querySelector('pre').textContent = e.data)</script>\
         <iframe src='copy.html{}' style='width: {}px; height: 800px; border: 0'></iframe>",
        if way.paper { "#paper" } else { "" },
        way.columns
    );
    std::fs::write(&around, frame).unwrap();
    let night = way.dark.then_some("--blink-settings=preferredColorScheme=0");
    let args = ["--window-size=1200,900", "--virtual-time-budget=10000", "--dump-dom"];
    let args: Vec<_> = args.into_iter().chain(night).collect();
    let dom = chromium(uth, &args, &around);
    let told = dom.split_once("<pre>").and_then(|(_, rest)| rest.split_once("</pre>"));
    let mut lines = told.unwrap_or_else(|| panic!("{dom}")).0.lines().map(str::to_owned);
    let counted = lines.next().unwrap_or_else(|| panic!("nothing was measured: {dom}"));
    let counted: Vec<usize> = counted.split(' ').map(|number| number.parse().unwrap()).collect();
    assert!(counted[0] > 50 && counted[1] > 3 && counted[2] > 0, "{}: {counted:?}", way.name);
    lines.collect()
}

/// Nothing is wider than the page but what scrolls in itself, and in the pictures
/// everything is in its place and large enough; all that is text can be read.
#[test]
#[ignore = "needs Chromium"]
fn interop_on_every_screen_and_on_paper_all_is_in_its_place() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    need!(tool "chromium");
    let uth = Uth::new();
    let (page, file) = (|lesson: &str| format!("{lesson}.html"), uth.home());
    // All five kinds of picture are in these.
    let lessons = match crate::skip::root() {
        Ok(()) => ["1", "2", "4", "5"].as_slice(),
        Err(_) => &["1", "3"],
    };
    for lesson in lessons {
        let path = file.join(page(lesson));
        played(&uth, lesson, &path);
        let text = std::fs::read_to_string(&path).unwrap();
        for way in &WAYS {
            let faults = measured(&uth, &text, way);
            assert!(faults.is_empty(), "lesson {lesson} {}: {faults:#?}", way.name);
        }
    }
    // And a page on which something is wrong is found out.
    let text = std::fs::read_to_string(file.join(page("1"))).unwrap();
    let first = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let lines = regex::Regex::new("(<text class=\"plain\" x=\"\\d+\" y=)\"\\d+\"").unwrap();
    let aside = regex::Regex::new("(<text class=\"plain\" x=)\"\\d+\"").unwrap();
    let (phone, print) = (&WAYS[2], &WAYS[4]);
    let long = format!("<pre>{}</pre></body>", "word ".repeat(60));
    let long = first(&text, "</body>", &long);
    assert_eq!(measured(&uth, &long, print), [""; 0]);
    for (broken, way, told) in [
        (first(&text, "</body>", "<p style='width: 2000px'>x</p></body>"), phone, "sticks out: P"),
        (lines.replace_all(&text, "$1\"40\"").into_owned(), phone, "lies on each other"),
        (aside.replace_all(&text, "$1\"330\"").into_owned(), phone, "leaves its picture"),
        (first(&text, "--dim: #595d66", "--dim: #b9bdc6"), phone, "--dim on --paper"),
        (first(&text, ".drawing.wide { display: none; }", ""), phone, "too small"),
        (long.replace("white-space: pre-wrap; ", ""), print, "on paper"),
    ] {
        let faults = measured(&uth, &broken, way);
        assert!(faults.iter().any(|fault| fault.contains(told)), "{told}: {faults:#?}");
    }
}
