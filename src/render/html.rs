//! HTML that stands alone: no script, nothing from elsewhere, text from strangers escaped, drawings inline.

use std::fmt;

use super::sanitize::Untrusted;
use crate::number;

/// Text from a stranger, for HTML: what would act on a terminal is shown as `\u{..}` here too, and markup is text.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in Untrusted(self.0).to_string().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

/// What a page begins with. The style is all there is to it; the policy forbids the rest, also to what strangers might have
/// smuggled in.
pub fn begin(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        Text(title)
    )
}

/// What it ends with.
pub const END: &str = "</body>\n</html>\n";

const STYLE: &str = "\
body { font: 16px/1.45 system-ui, sans-serif; color: #1c1e21; background: #fff; max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .5rem; padding-left: .7rem; border-left: .35rem solid #2e7d32; }
h1.action { border-color: #c77700; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p, ul, ol { margin: .4rem 0; }
ul, ol { padding-left: 1.3rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .5rem .3rem 0; border-top: 1px solid #e0e0e0; vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; border-top: 0; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.why { color: #555; font-size: .9rem; display: block; }
.class { display: inline-block; padding: 0 .5rem; border-radius: .6rem; color: #fff; font-size: .85rem; }
.fix { background: #b26a00; } .new { background: #00707f; } .threat { background: #b3261e; } .forwarded { background: #5f6368; } .ok { background: #2e7d32; }
.quiet { color: #555; font-size: .9rem; }
svg { width: 100%; height: auto; display: block; }
@media (max-width: 30rem) { .wide { display: none; } body { padding: .7rem; } }
";

/// One bar of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// Messages that pass.
    pub pass: i64,
    /// Messages that fail.
    pub fail: i64,
    /// Messages of which it is not known.
    pub unknown: i64,
}

/// Bars side by side, stacked by how messages fared, with the highest value and the first and last label.
pub fn chart(bars: &[Bar]) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 150.0;
    const TOP: f64 = 16.0;
    let total = |bar: &Bar| bar.pass.saturating_add(bar.fail).saturating_add(bar.unknown);
    let most = bars.iter().map(total).max().unwrap_or(0);
    let (Some(first), Some(last), true) = (bars.first(), bars.last(), most > 0) else { return String::new() };
    let step = WIDTH / bars.len() as f64;
    let scale = (HEIGHT - TOP - 20.0) / most as f64;
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"messages by day, at most {}\">\n\
         <text x=\"0\" y=\"11\" font-size=\"11\" fill=\"#555\">at most {} a day; failing in red, not known in grey</text>\n",
        number::grouped(most),
        number::grouped(most)
    );
    for (at, bar) in bars.iter().enumerate() {
        let mut y = HEIGHT - 20.0;
        for (count, colour) in [(bar.pass, "#2e7d32"), (bar.unknown, "#9aa0a6"), (bar.fail, "#b3261e")] {
            let height = count as f64 * scale;
            if count > 0 {
                y -= height;
                text.push_str(&format!(
                    "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"><title>{}: {} pass, {} fail</title></rect>\n",
                    at as f64 * step + step * 0.1,
                    step * 0.8,
                    height.max(0.5),
                    Text(&bar.label),
                    number::grouped(bar.pass),
                    number::grouped(bar.fail),
                ));
            }
        }
    }
    text.push_str(&format!(
        "<text x=\"0\" y=\"{0}\" font-size=\"11\" fill=\"#555\">{1}</text>\n\
         <text x=\"{WIDTH}\" y=\"{0}\" font-size=\"11\" fill=\"#555\" text-anchor=\"end\">{2}</text>\n</svg>\n",
        HEIGHT - 5.0,
        Text(&first.label),
        Text(&last.label)
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_is_text() {
        let text = "</td><script>alert(1)</script>\"'&\u{202e}\x1b[2J";
        let escaped = Text(text).to_string();
        assert_eq!(escaped, "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u{202e}\\u{1b}[2J");
        assert!(begin("<b>").contains("<title>&lt;b&gt;</title>"));
    }

    #[test]
    fn bars_are_as_high_as_their_figures() {
        let bar = |label: &str, pass, fail| Bar { label: label.to_owned(), pass, fail, unknown: 0 };
        let text = chart(&[bar("2026-11-01", 50, 50), bar("2026-11-02", 25, 0)]);
        assert!(text.contains("height=\"57.0\" fill=\"#b3261e\""), "{text}");
        assert!(text.contains("height=\"28.5\" fill=\"#2e7d32\""), "{text}");
        assert_eq!(text.matches("<rect").count(), 3);
        assert_eq!(chart(&[bar("x", 0, 0)]), "");
        assert_eq!(chart(&[]), "");
    }
}
