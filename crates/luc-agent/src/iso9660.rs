//! Writes small read-only file systems: ISO 9660 with Rock Ridge and Joliet.
//!
//! Just what a config drive needs: regular files and directories, a label, the same bytes for the
//! same input. Linux reads names and permissions from Rock Ridge, Windows names from Joliet. There
//! is no reading, no boot record, no symbolic link, no file above 4 GiB.
//! Sources: ECMA-119 (the numbers in brackets are its sections), IEEE P1281 (SUSP), IEEE P1282
//! (RRIP), Joliet 1995.
//! Who calls it: [`crate::config_drive`].
//!
//! ```text
//! sector 0–15   16        17         18     19 …           …                  …
//! empty         primary   Joliet     end    path tables    directories,       file data
//!               volume    volume            (4, a sector   primary then       (shared)
//!                                           or more each)  Joliet
//! ```

const SECTOR: usize = 2048;
/// Any date will do, but a reader may refuse zero: 2020-01-01 00:00:00 UTC [9.1.5].
const DATE: [u8; 7] = [120, 1, 1, 0, 0, 0, 0];
const DIRECTORY_MODE: u32 = 0o040_500;
const FILE_MODE: u32 = 0o100_400;

/// Why files cannot be put in an image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IsoError {
    /// A name is empty, too long, or not plain ASCII.
    #[error("'{name}' cannot be a file name on the drive")]
    Name { name: String },
    /// A label is too long for Joliet, or not plain ASCII.
    #[error("'{label}' cannot be the drive's label")]
    Label { label: String },
    /// More than such an image can hold.
    #[error("the drive's content is too large")]
    TooLarge,
}

/// A directory or a file of the tree; children are sorted by name.
struct Entry {
    name: String,
    /// The number of the directory it is in.
    parent: usize,
    content: Content,
}

enum Content {
    /// Its children's numbers.
    Directory(Vec<usize>),
    /// Its data, and the sector they start at.
    File { data: Vec<u8>, sector: u32 },
}

/// Which of the two directory trees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    Primary,
    Joliet,
}

/// The image labelled `label` with `files`, given as path and bytes.
pub(crate) fn write(label: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>, IsoError> {
    if label.is_empty() || label.len() > 16 || !label.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(IsoError::Label {
            label: label.to_owned(),
        });
    }
    let mut entries = tree_of(files)?;
    let trees = [Tree::Primary, Tree::Joliet].map(|tree| Layout::of(tree, &entries));
    let mut next = 19;
    for layout in &trees {
        next += 2 * sectors(layout.path_table_length(&entries));
    }
    let [mut primary, mut joliet] = trees;
    for layout in [&mut primary, &mut joliet] {
        for (number, size) in layout.sizes.iter().enumerate() {
            layout.starts[number] = next;
            next += sectors(*size);
        }
    }
    for entry in &mut entries {
        if let Content::File { data, sector } = &mut entry.content {
            *sector = next;
            next += sectors(data.len());
        }
    }
    let mut image = vec![0; next as usize * SECTOR];
    let mut table_at = 19;
    for (volume, layout) in [(16, &primary), (17, &joliet)] {
        let length = layout.path_table_length(&entries);
        let tables = [table_at, table_at + sectors(length)];
        table_at += 2 * sectors(length);
        layout.write_volume(&mut image, volume, label, tables, length);
        layout.write_path_tables(&mut image, &entries, tables);
        layout.write_directories(&mut image, &entries);
    }
    put(&mut image, 18 * SECTOR, b"\xffCD001\x01");
    for entry in &entries {
        if let Content::File { data, sector } = &entry.content {
            put(&mut image, *sector as usize * SECTOR, data);
        }
    }
    Ok(image)
}

fn sectors(bytes: usize) -> u32 {
    bytes.div_ceil(SECTOR) as u32
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Directories before their children's children: the order of the path table [6.9.1].
fn tree_of(files: &[(&str, &[u8])]) -> Result<Vec<Entry>, IsoError> {
    let total: usize = files.iter().map(|(_, data)| data.len()).sum();
    if total > 1 << 30 {
        return Err(IsoError::TooLarge);
    }
    let mut entries = vec![Entry {
        name: String::new(),
        parent: 0,
        content: Content::Directory(Vec::new()),
    }];
    let depth = files
        .iter()
        .map(|(path, _)| path.split('/').count())
        .max()
        .unwrap_or(0);
    for level in 0..depth {
        let mut parts: Vec<(Vec<&str>, Option<&[u8]>)> = Vec::new();
        for (path, data) in files {
            let parts_of_path: Vec<&str> = path.split('/').collect();
            if parts_of_path.len() > level {
                let is_last = parts_of_path.len() == level + 1;
                parts.push((parts_of_path[..=level].to_vec(), is_last.then_some(*data)));
            }
        }
        parts.sort();
        parts.dedup();
        for (path, data) in parts {
            add(&mut entries, &path, data)?;
        }
    }
    Ok(entries)
}

fn add(entries: &mut Vec<Entry>, path: &[&str], data: Option<&[u8]>) -> Result<(), IsoError> {
    let name = path.last().copied().unwrap_or_default();
    let good = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) || name.starts_with('.') {
        return Err(IsoError::Name {
            name: name.to_owned(),
        });
    }
    let mut parent = 0;
    for step in &path[..path.len() - 1] {
        let Content::Directory(children) = &entries[parent].content else {
            return Err(IsoError::Name {
                name: (*step).to_owned(),
            });
        };
        parent = children
            .iter()
            .copied()
            .find(|&child| entries[child].name == *step)
            .ok_or_else(|| IsoError::Name {
                name: (*step).to_owned(),
            })?;
    }
    let number = entries.len();
    let content = match data {
        Some(data) => Content::File {
            data: data.to_vec(),
            sector: 0,
        },
        None => Content::Directory(Vec::new()),
    };
    let taken = |child: &usize| entries[*child].name == name;
    match &entries[parent].content {
        Content::Directory(children) if !children.iter().any(taken) => {}
        Content::Directory(_) | Content::File { .. } => {
            return Err(IsoError::Name {
                name: name.to_owned(),
            });
        }
    }
    entries.push(Entry {
        name: name.to_owned(),
        parent,
        content,
    });
    if let Content::Directory(children) = &mut entries[parent].content {
        children.push(number);
    }
    Ok(())
}

/// The numbers of the directories, in the order of the path table.
fn directories(entries: &[Entry]) -> impl Iterator<Item = usize> + '_ {
    (0..entries.len()).filter(|&number| matches!(entries[number].content, Content::Directory(_)))
}

/// Sizes and places of one tree's directories, by entry number; zero for files.
struct Layout {
    tree: Tree,
    sizes: Vec<usize>,
    starts: Vec<u32>,
}

impl Layout {
    fn of(tree: Tree, entries: &[Entry]) -> Self {
        let mut layout = Self {
            tree,
            sizes: vec![0; entries.len()],
            starts: vec![0; entries.len()],
        };
        let sizes = (0..entries.len())
            .map(|number| match entries[number].content {
                Content::Directory(_) => layout.directory(entries, number).len(),
                Content::File { .. } => 0,
            })
            .collect();
        layout.sizes = sizes;
        layout
    }

    /// The name by which this tree knows an entry. In the primary tree it only has to be unique
    /// and sorted, since Rock Ridge carries the real one [7.5].
    fn identifier(&self, entries: &[Entry], number: usize) -> Vec<u8> {
        let entry = &entries[number];
        let is_file = matches!(entry.content, Content::File { .. });
        match self.tree {
            Tree::Primary if is_file => format!("F{number:06}.;1").into_bytes(),
            Tree::Primary => format!("D{number:06}").into_bytes(),
            Tree::Joliet => ucs2(&entry.name),
        }
    }

    /// The identifier in the path table: the root's is one zero byte.
    fn table_identifier(&self, entries: &[Entry], number: usize) -> Vec<u8> {
        if number == 0 {
            vec![0]
        } else {
            self.identifier(entries, number)
        }
    }

    fn path_table_length(&self, entries: &[Entry]) -> usize {
        directories(entries)
            .map(|number| {
                8 + self
                    .table_identifier(entries, number)
                    .len()
                    .next_multiple_of(2)
            })
            .sum()
    }

    /// Little-endian in the first place, big-endian in the second [9.4].
    fn write_path_tables(&self, image: &mut [u8], entries: &[Entry], tables: [u32; 2]) {
        let order: Vec<usize> = directories(entries).collect();
        let [mut little, mut big] = [Vec::new(), Vec::new()];
        for &number in &order {
            let identifier = self.table_identifier(entries, number);
            let parent = entries[number].parent;
            let parent = order.iter().position(|&at| at == parent).unwrap_or(0) as u16 + 1;
            let start = self.starts[number];
            for (table, start, parent) in [
                (&mut little, start.to_le_bytes(), parent.to_le_bytes()),
                (&mut big, start.to_be_bytes(), parent.to_be_bytes()),
            ] {
                table.extend([identifier.len() as u8, 0]);
                table.extend(start);
                table.extend(parent);
                table.extend(&identifier);
                if identifier.len() % 2 == 1 {
                    table.push(0);
                }
            }
        }
        put(image, tables[0] as usize * SECTOR, &little);
        put(image, tables[1] as usize * SECTOR, &big);
    }

    fn write_directories(&self, image: &mut [u8], entries: &[Entry]) {
        for number in directories(entries) {
            let at = self.starts[number] as usize * SECTOR;
            put(image, at, &self.directory(entries, number));
        }
    }

    /// The records of one directory; none crosses a sector [6.8.1.1].
    fn directory(&self, entries: &[Entry], number: usize) -> Vec<u8> {
        let Content::Directory(children) = &entries[number].content else {
            return Vec::new();
        };
        let mut bytes = Vec::new();
        let parent = entries[number].parent;
        let dot = self.record(entries, number, &[0], None, number == 0);
        let dot_dot = self.record(entries, parent, &[1], None, false);
        bytes.extend(dot);
        bytes.extend(dot_dot);
        let mut children = children.clone();
        children.sort_by_key(|&child| self.identifier(entries, child));
        for child in children {
            let identifier = self.identifier(entries, child);
            let name = Some(entries[child].name.as_str());
            let record = self.record(entries, child, &identifier, name, false);
            if bytes.len() % SECTOR + record.len() > SECTOR {
                bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
            }
            bytes.extend(record);
        }
        bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
        bytes
    }

    /// One directory record [9.1].
    fn record(
        &self,
        entries: &[Entry],
        number: usize,
        identifier: &[u8],
        name: Option<&str>,
        is_root_dot: bool,
    ) -> Vec<u8> {
        let (start, size, flags, mode) = match &entries[number].content {
            Content::Directory(_) => (self.starts[number], self.sizes[number], 2, DIRECTORY_MODE),
            Content::File { data, sector } => (*sector, data.len(), 0, FILE_MODE),
        };
        let mut record = vec![0, 0];
        record.extend(both_u32(start));
        record.extend(both_u32(size as u32));
        record.extend(DATE);
        record.extend([flags, 0, 0]);
        record.extend(both_u16(1));
        record.push(identifier.len() as u8);
        record.extend(identifier);
        if identifier.len().is_multiple_of(2) {
            record.push(0);
        }
        if self.tree == Tree::Primary {
            if is_root_dot {
                // Says that system use fields follow, and which (SUSP 5.3, 5.5).
                record.extend(b"SP\x07\x01\xbe\xef\x00");
                record.extend(b"ER\x12\x01\x0a\x00\x00\x01RRIP_1991A");
            }
            record.extend(rock_ridge(mode, name));
        }
        if record.len() % 2 == 1 {
            record.push(0);
        }
        record[0] = record.len() as u8;
        record
    }

    /// The volume descriptor [8.4, 8.5].
    fn write_volume(
        &self,
        image: &mut [u8],
        sector: usize,
        label: &str,
        tables: [u32; 2],
        table_length: usize,
    ) {
        let total = sectors(image.len());
        let (kind, blank, label) = match self.tree {
            Tree::Primary => (1, vec![b' '], label.as_bytes().to_vec()),
            Tree::Joliet => (2, vec![0, b' '], ucs2(label)),
        };
        let mut volume = vec![0; SECTOR];
        put(&mut volume, 0, &[kind, b'C', b'D', b'0', b'0', b'1', 1]);
        for (from, to) in [(8, 40), (40, 72), (190, 813)] {
            for (at, byte) in (from..to).zip(blank.iter().cycle()) {
                volume[at] = *byte;
            }
        }
        put(&mut volume, 40, &label);
        put(&mut volume, 80, &both_u32(total));
        if self.tree == Tree::Joliet {
            put(&mut volume, 88, b"%/E");
        }
        put(&mut volume, 120, &both_u16(1));
        put(&mut volume, 124, &both_u16(1));
        put(&mut volume, 128, &both_u16(SECTOR as u16));
        put(&mut volume, 132, &both_u32(table_length as u32));
        put(&mut volume, 140, &tables[0].to_le_bytes());
        put(&mut volume, 148, &tables[1].to_be_bytes());
        put(&mut volume, 156, &self.root_record());
        for date in [813, 830, 847, 864] {
            put(&mut volume, date, b"0000000000000000\0");
        }
        volume[881] = 1;
        put(image, sector * SECTOR, &volume);
    }

    /// The root's record in the volume descriptor has no room for system use fields.
    fn root_record(&self) -> Vec<u8> {
        let mut record = vec![34, 0];
        record.extend(both_u32(self.starts[0]));
        record.extend(both_u32(self.sizes[0] as u32));
        record.extend(DATE);
        record.extend([2, 0, 0]);
        record.extend(both_u16(1));
        record.extend([1, 0]);
        record
    }
}

/// Permissions and real name (RRIP 4.1.1, 4.1.4).
fn rock_ridge(mode: u32, name: Option<&str>) -> Vec<u8> {
    let links = if mode == DIRECTORY_MODE { 2 } else { 1 };
    let mut fields = b"PX\x24\x01".to_vec();
    for value in [mode, links, 0, 0] {
        fields.extend(both_u32(value));
    }
    if let Some(name) = name {
        fields.extend([b'N', b'M', 5 + name.len() as u8, 1, 0]);
        fields.extend(name.bytes());
    }
    fields
}

fn both_u32(value: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&value.to_le_bytes());
    bytes[4..].copy_from_slice(&value.to_be_bytes());
    bytes
}

fn both_u16(value: u16) -> [u8; 4] {
    let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
    [little[0], little[1], big[0], big[1]]
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests;
