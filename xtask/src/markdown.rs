//! The little of Markdown that the steps need: fenced blocks and links.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind the opening fence.
    pub(crate) info: String,
    /// The line of the opening fence, counted from 1.
    pub(crate) line: usize,
    /// The lines between the fences.
    pub(crate) text: String,
}

/// The text taken apart: the blocks, and every line outside them with its number.
struct Parts {
    blocks: Vec<Block>,
    prose: Vec<(usize, String)>,
}

/// The fenced blocks of a document, in order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    take_apart(document).blocks
}

/// The targets of all inline links and images outside code, each with its line.
pub(crate) fn links(document: &str) -> Vec<(usize, String)> {
    let prose = take_apart(document).prose;
    prose.iter().flat_map(|(line, text)| links_of(text).map(|target| (*line, target))).collect()
}

/// The anchors that headings give a document, as Git hosts make them.
pub(crate) fn anchors(document: &str) -> Vec<String> {
    let prose = take_apart(document).prose;
    let headings = prose.iter().filter_map(|(_, text)| text.strip_prefix('#'));
    headings.map(|text| anchor(text.trim_start_matches('#'))).collect()
}

fn take_apart(document: &str) -> Parts {
    let mut parts = Parts { blocks: Vec::new(), prose: Vec::new() };
    let mut open: Option<(String, Block)> = None;
    for (index, line) in document.lines().enumerate() {
        let trimmed = line.trim_start();
        match &mut open {
            Some((fence, _))
                if trimmed.starts_with(fence.as_str())
                    && trimmed.trim_end().chars().all(|c| fence.contains(c)) =>
            {
                parts.blocks.extend(open.take().map(|(_, block)| block));
            }
            Some((_, block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => match opening(trimmed) {
                Some((fence, info)) => {
                    open = Some((fence, Block { info, line: index + 1, text: String::new() }));
                }
                None => parts.prose.push((index + 1, line.to_owned())),
            },
        }
    }
    parts
}

/// The fence and the info string, if this line opens a block.
fn opening(line: &str) -> Option<(String, String)> {
    let sign = line.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == sign).count();
    let info = line.get(length..)?.trim();
    (length >= 3 && !info.contains('`')).then(|| (line[..length].to_owned(), info.to_owned()))
}

fn links_of(line: &str) -> impl Iterator<Item = String> {
    let outside_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let starts: Vec<usize> = outside_code.match_indices("](").map(|(at, _)| at + 2).collect();
    starts.into_iter().filter_map(move |start| {
        let rest = &outside_code[start..];
        let target = rest[..rest.find(')')?].split_whitespace().next()?;
        Some(target.trim_matches(['<', '>']).to_owned())
    })
}

fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# The crates: a tour

See [the map](docs/map.md#top), ![a picture](a.png \"A\") and `[not](this)`.

```sh walkthrough
curl one
# [nor](this)
```

~~~~text
```sh walkthrough
inside
```
~~~~

- in a list:
  ```sh walkthrough
  curl two
  ```
";

    #[test]
    fn blocks_are_found_with_their_info_and_line() {
        let found = blocks(DOCUMENT);
        let infos: Vec<_> = found.iter().map(|block| (block.line, block.info.as_str())).collect();
        assert_eq!(infos, [(5, "sh walkthrough"), (10, "text"), (17, "sh walkthrough")]);
        assert_eq!(found[0].text, "curl one\n# [nor](this)\n");
        assert_eq!(found[1].text, "```sh walkthrough\ninside\n```\n");
    }

    #[test]
    fn an_unclosed_block_is_no_block() {
        assert!(blocks("```sh\nnever closed\n").is_empty());
    }

    #[test]
    fn links_are_found_outside_code() {
        let found = links(DOCUMENT);
        assert_eq!(found, [(3, "docs/map.md#top".to_owned()), (3, "a.png".to_owned())]);
    }

    #[test]
    fn anchors_are_made_as_git_hosts_make_them() {
        assert_eq!(anchors(DOCUMENT), ["the-crates-a-tour"]);
        assert_eq!(anchors("## `GET /me` & co."), ["get-me--co"]);
    }
}
