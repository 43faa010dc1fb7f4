//! The strict reader of the text format.

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Family, Labels, Page, Sample};

const KINDS: [&str; 5] = ["counter", "gauge", "histogram", "summary", "untyped"];

pub(super) fn page(text: &str) -> Result<Page> {
    ensure!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut page = Page { size: text.len(), ..Page::default() };
    let mut closed = HashSet::new();
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        let read = read_line(&mut page, line).with_context(|| format!("line {}: {line}", number + 1))?;
        let Some(family) = read else { continue };
        if family != current {
            let former = std::mem::replace(&mut current, family);
            closed.insert(former);
            ensure!(
                !closed.contains(&current),
                "line {}: the lines of {current} are not together",
                number + 1
            );
        }
    }
    Ok(page)
}

/// Reads one line into the page and gives the family that it belongs to.
fn read_line(page: &mut Page, line: &str) -> Result<Option<String>> {
    if let Some(comment) = line.strip_prefix("# ") {
        return read_comment(page, comment);
    }
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let sample = sample(line)?;
    let family = family_of(page, &sample.name);
    page.samples.push(sample);
    Ok(Some(family))
}

fn read_comment(page: &mut Page, comment: &str) -> Result<Option<String>> {
    let mut words = comment.splitn(3, ' ');
    let (keyword, name, rest) = (words.next(), words.next().unwrap_or_default(), words.next());
    if !matches!(keyword, Some("HELP" | "TYPE")) {
        return Ok(None);
    }
    ensure!(is_metric_name(name), "not a metric's name: {name}");
    ensure!(page.all(name, &[]).next().is_none(), "HELP or TYPE after the samples");
    let family: &mut Family = page.families.entry(name.to_owned()).or_default();
    let rest = rest.context("nothing after the name")?;
    let place = if keyword == Some("HELP") {
        &mut family.help
    } else {
        ensure!(KINDS.contains(&rest), "no such type: {rest}");
        &mut family.kind
    };
    ensure!(place.replace(rest.to_owned()).is_none(), "told twice");
    Ok(Some(name.to_owned()))
}

/// The family of a sample: histograms and summaries have samples with longer names.
fn family_of(page: &Page, name: &str) -> String {
    let longer = ["_bucket", "_sum", "_count"].iter().filter_map(|ending| name.strip_suffix(ending));
    let kind = |family: &str| page.families.get(family).and_then(|found| found.kind.as_deref());
    let mut parents = longer.filter(|family| matches!(kind(family), Some("histogram" | "summary")));
    parents.next().unwrap_or(name).to_owned()
}

fn sample(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    ensure!(is_metric_name(name), "not a metric's name: {name}");
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = read_labels(inside)?;
    }
    let mut words = rest.strip_prefix(' ').context("no space before the value")?.split(' ');
    let value = float(words.next().unwrap_or_default())?;
    let time = words.next();
    if let Some(time) = time {
        time.parse::<i64>().context("time")?;
    }
    ensure!(words.next().is_none(), "something after the time");
    Ok(Sample { name: name.to_owned(), labels, value, timed: time.is_some() })
}

/// Reads labels up to and with the closing brace; gives them and what follows.
fn read_labels(mut rest: &str) -> Result<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once("=\"").context("no value of a label")?;
        ensure!(is_label_name(name), "not a label's name: {name}");
        let (value, after) = quoted(after)?;
        ensure!(labels.insert(name.to_owned(), value).is_none(), "label {name} twice");
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None if after.starts_with('}') => after,
            None => bail!("neither a comma nor a brace after label {name}"),
        };
    }
}

/// Reads up to and with the closing quote.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match letters.next() {
                Some((_, '\\')) => '\\',
                Some((_, '"')) => '"',
                Some((_, 'n')) => '\n',
                other => bail!("no such escape: {other:?}"),
            }),
            other => value.push(other),
        }
    }
    bail!("a label's value without its closing quote")
}

fn float(word: &str) -> Result<f64> {
    match word {
        "NaN" => Ok(f64::NAN),
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        _ if word.starts_with(|letter: char| letter.is_ascii_digit() || "+-.".contains(letter)) => {
            word.parse().with_context(|| format!("not a value: {word}"))
        }
        _ => bail!("not a value: {word}"),
    }
}

fn is_metric_name(name: &str) -> bool {
    is_label_name(&name.replace(':', "_"))
}

fn is_label_name(name: &str) -> bool {
    let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    name.chars().all(good) && name.starts_with(|letter: char| !letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn escapes_are_undone() {
        let page = page("m{a=\"q\\\" b\\\\ n\\n }\",b=\"\"} +Inf\n").unwrap();
        assert_eq!(page.samples[0].labels["a"], "q\" b\\ n\n }");
        assert!(page.samples[0].value.is_infinite());
    }

    #[test]
    fn families_of_histograms_are_one() {
        let text = "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\nx 1 1234\n";
        let page = page(text).unwrap();
        assert_eq!(page.families["h"].kind.as_deref(), Some("histogram"));
        assert!(page.samples[3].timed && !page.samples[0].timed);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "m 1",                        // no end of line
            "m{a=\"b\" 1\n",              // no closing brace
            "m{a=\"b} 1\n",               // no closing quote
            "m{a=\"\\x\"} 1\n",           // unknown escape
            "m{a=\"1\",a=\"2\"} 1\n",     // a label twice
            "m{1a=\"1\"} 1\n",            // a label's name
            "1m 1\n",                     // a metric's name
            "m one\n",                    // no number
            "m infinity\n",               // not as Prometheus writes it
            "m 1 2 3\n",                  // too much
            "m  1\n",                     // two spaces
            "a 1\nb 1\na 2\n",            // not together
            "a 1\n# TYPE a gauge\n",      // told too late
            "# TYPE a thing\n",           // no such type
            "# HELP a A.\n# HELP a B.\n", // told twice
        ] {
            assert!(page(text).is_err(), "{text}");
        }
    }
}
