//! Zip archives, as much of them as .npz files are: entries that are stored or deflated, of any length.
//!
//! It follows PKWARE's description of the format, with its 64-bit fields and without encryption and parts on several disks.
//! What is wrong with an archive is an [`io::Error`] of kind `InvalidData`.

use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom, Take, Write};

// Every record begins with one of these, where its fields are counted from.
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

const LOCAL_LEN: u64 = 30;
const CENTRAL_LEN: u64 = 46;
const END_LEN: u64 = 22;
const END_64_LEN: u64 = 56;
const LOCATOR_64_LEN: u64 = 20;

/// The kind of extra field that holds the lengths and places of which the field proper is [`ELSEWHERE`].
const EXTRA_64: u16 = 1;
const ELSEWHERE: u64 = 0xffff_ffff;

const ENCRYPTED: u16 = 1;
const UTF_8: u16 = 1 << 11;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

fn wrong(fault: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, fault.into())
}

fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from(u16_at(record, at)) | u32::from(u16_at(record, at + 2)) << 16
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}

/// What an archive says of one entry.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Bytes that it unpacks to.
    pub(crate) size: u64,
    packed: u64,
    flags: u16,
    method: u16,
    checksum: u32,
    /// Where its own header begins, and its bytes.
    header: u64,
    data: u64,
}

/// Reads the directory of an archive that is a file of `len` bytes, and finds every entry in its own place.
pub(crate) fn entries<R: BufRead + Seek>(reader: &mut R, len: u64) -> io::Result<Vec<Entry>> {
    let Directory { count, start, end } = directory(reader, len)?;
    reader.seek(SeekFrom::Start(start))?;
    let mut rest = reader.by_ref().take(end - start);
    // How many there are is not believed before they are seen.
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(Entry::read(&mut rest)?);
    }
    if rest.limit() != 0 {
        return Err(wrong("its directory is longer than its entries"));
    }
    for entry in &mut entries {
        entry.find(reader, start)?;
    }
    let mut places: Vec<_> = entries.iter().map(|e| (e.header, e.data + e.packed)).collect();
    places.sort_unstable();
    // A small file could otherwise unpack the same bytes any number of times.
    if places.windows(2).any(|two| two[1].0 < two[0].1) {
        return Err(wrong("two of its entries lie over each other"));
    }
    Ok(entries)
}

/// Where the directory is, and how many entries it has.
struct Directory {
    count: u64,
    start: u64,
    end: u64,
}

fn directory<R: Read + Seek>(reader: &mut R, len: u64) -> io::Result<Directory> {
    // The last record, behind which there is nothing but a comment.
    let tail_len = len.min(END_LEN + u64::from(u16::MAX));
    let mut tail = vec![0; tail_len as usize];
    reader.seek(SeekFrom::Start(len - tail_len))?;
    reader.read_exact(&mut tail)?;
    let is_end = |&at: &usize| {
        let record = &tail[at..];
        u32_at(record, 0) == END && record.len() == END_LEN as usize + usize::from(u16_at(record, 20))
    };
    let last = (tail.len() + 1).saturating_sub(END_LEN as usize);
    let at = (0..last).rev().find(is_end).ok_or_else(|| wrong("it has no end of a directory"))?;
    let record = &tail[at..];
    let place = len - tail_len + at as u64;
    let disks = [u16_at(record, 4), u16_at(record, 6)];
    let mut found = Directory { count: u16_at(record, 10).into(), start: u32_at(record, 16).into(), end: 0 };
    let (mut size, mut limit) = (u64::from(u32_at(record, 12)), place);
    // Where a number does not fit, a longer record has it, and another one says where that is.
    let locator = at.checked_sub(LOCATOR_64_LEN as usize).map(|at| &tail[at..]);
    if let Some(locator) = locator.filter(|record| u32_at(record, 0) == LOCATOR_64) {
        limit = u64_at(locator, 8);
        if limit.checked_add(END_64_LEN).is_none_or(|end| end > place - LOCATOR_64_LEN) {
            return Err(wrong("the long end of its directory is beyond its end"));
        }
        let mut record = [0; END_64_LEN as usize];
        reader.seek(SeekFrom::Start(limit))?;
        reader.read_exact(&mut record)?;
        if u32_at(&record, 0) != END_64 {
            return Err(wrong("the long end of its directory is not where it should be"));
        }
        found = Directory { count: u64_at(&record, 32), start: u64_at(&record, 48), end: 0 };
        size = u64_at(&record, 40);
    } else if disks != [0; 2] {
        return Err(wrong("it is one of several parts"));
    }
    found.end = found.start.checked_add(size).filter(|&end| end <= limit).ok_or_else(|| {
        wrong(format!("it claims a directory of {size} bytes at {} in a file of {len}", found.start))
    })?;
    Ok(found)
}

impl Entry {
    /// Reads what the directory says of an entry.
    fn read(directory: &mut impl Read) -> io::Result<Self> {
        let mut record = [0; CENTRAL_LEN as usize];
        directory.read_exact(&mut record)?;
        if u32_at(&record, 0) != CENTRAL {
            return Err(wrong("its directory is damaged"));
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(&record, at)));
        let mut more = vec![0; name + extra + comment];
        directory.read_exact(&mut more)?;
        let flags = u16_at(&record, 8);
        let mut entry = Entry {
            name: decoded(&more[..name], flags)?,
            size: u32_at(&record, 24).into(),
            packed: u32_at(&record, 20).into(),
            flags,
            method: u16_at(&record, 10),
            checksum: u32_at(&record, 16),
            header: u32_at(&record, 42).into(),
            data: 0,
        };
        entry.lengthen(&more[name..name + extra])?;
        Ok(entry)
    }

    /// Takes from the extra fields what has no room in the record.
    fn lengthen(&mut self, mut extra: &[u8]) -> io::Result<()> {
        let mut short = [&mut self.size, &mut self.packed, &mut self.header]
            .into_iter()
            .filter(|field| **field == ELSEWHERE)
            .peekable();
        while extra.len() >= 4 && short.peek().is_some() {
            let (kind, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
            let Some((field, rest)) = extra[4..].split_at_checked(len) else {
                return Err(wrong("an extra field in its directory is cut short"));
            };
            if kind == EXTRA_64 {
                for (number, field) in field.chunks_exact(8).zip(short.by_ref()) {
                    *field = u64_at(number, 0);
                }
                return Ok(());
            }
            extra = rest;
        }
        Ok(())
    }

    /// Finds the bytes of the entry behind a header of its own, before the directory.
    fn find<R: Read + Seek>(&mut self, reader: &mut R, directory: u64) -> io::Result<()> {
        let beyond = || wrong("an entry is beyond its end");
        let end = self.header.checked_add(LOCAL_LEN).filter(|&end| end <= directory).ok_or_else(beyond)?;
        let mut record = [0; LOCAL_LEN as usize];
        reader.seek(SeekFrom::Start(self.header))?;
        reader.read_exact(&mut record)?;
        if u32_at(&record, 0) != LOCAL {
            return Err(wrong("an entry is not where its directory says"));
        }
        self.data = end + u64::from(u16_at(&record, 26)) + u64::from(u16_at(&record, 28));
        match self.data.checked_add(self.packed).is_some_and(|end| end <= directory) {
            true => Ok(()),
            false => Err(beyond()),
        }
    }

    /// The entry's bytes, unpacked. Where they end, their checksum is compared.
    pub(crate) fn open<'a, R: BufRead + Seek>(&self, reader: &'a mut R) -> io::Result<Contents<'a, R>> {
        if self.flags & ENCRYPTED != 0 {
            return Err(wrong("it is encrypted"));
        }
        reader.seek(SeekFrom::Start(self.data))?;
        let packed = reader.take(self.packed);
        let bytes = match self.method {
            STORED => Bytes::Stored(packed),
            DEFLATED => Bytes::Deflated(Box::new(DeflateDecoder::new(packed))),
            method => {
                return Err(wrong(format!("it is packed by method {method}: stored and deflated are read")));
            }
        };
        Ok(Contents { bytes, found: Crc::new(), checksum: self.checksum })
    }
}

/// A name: as UTF-8 where it says so, and else in the characters of the first PCs.
fn decoded(name: &[u8], flags: u16) -> io::Result<String> {
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    if flags & UTF_8 != 0 {
        return String::from_utf8(name.to_vec()).map_err(|_| wrong("a name is not text"));
    }
    let upper = |byte: u8| UPPER.chars().nth(usize::from(byte) - 0x80).unwrap_or(char::REPLACEMENT_CHARACTER);
    Ok(name.iter().map(|&byte| if byte.is_ascii() { byte.into() } else { upper(byte) }).collect())
}

/// What an entry unpacks to.
pub(crate) struct Contents<'a, R: BufRead> {
    bytes: Bytes<'a, R>,
    found: Crc,
    checksum: u32,
}

enum Bytes<'a, R: BufRead> {
    Stored(Take<&'a mut R>),
    Deflated(Box<DeflateDecoder<Take<&'a mut R>>>),
}

impl<R: BufRead> Read for Contents<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.bytes {
            Bytes::Stored(bytes) => bytes.read(buffer)?,
            Bytes::Deflated(bytes) => bytes.read(buffer)?,
        };
        self.found.update(&buffer[..n]);
        match n == 0 && !buffer.is_empty() && self.found.sum() != self.checksum {
            true => Err(wrong("its checksum is another: the file is damaged")),
            false => Ok(n),
        }
    }
}

/// Writes an archive, one entry after the other.
pub(crate) struct Writer<W: Write> {
    out: Counted<W>,
    directory: Vec<u8>,
    count: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// `out` is empty.
    pub(crate) fn new(out: W) -> Self {
        Writer { out: Counted { out, count: 0, sum: Crc::new() }, directory: Vec::new(), count: 0 }
    }

    /// An entry of what `fill` writes. Only one that is said to be `large` can take 4 GiB, packed or not.
    pub(crate) fn entry(
        &mut self,
        name: &str,
        deflated: bool,
        large: bool,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let name_len = u16::try_from(name.len()).map_err(|_| {
            io::Error::new(ErrorKind::InvalidInput, "a name is longer than an archive can hold")
        })?;
        let header = self.out.count;
        // The header is written once more when it is known what it says.
        let local = |checksum: u32, size: u64, packed: u64| {
            let mut record = LOCAL.to_le_bytes().to_vec();
            describe(&mut record, name, deflated, large, checksum);
            match large {
                false => record.extend([packed as u32, size as u32].map(u32::to_le_bytes).as_flattened()),
                true => record.extend([0xff; 8]),
            }
            let extra = if large { extra_64(&[size, packed]) } else { Vec::new() };
            record.extend(name_len.to_le_bytes());
            record.extend((extra.len() as u16).to_le_bytes());
            record.extend(name.as_bytes());
            record.extend(extra);
            record
        };
        self.out.write_all(&local(0, 0, 0))?;
        let data = self.out.count;
        let (size, checksum) = if deflated {
            let mut contents = Counted {
                out: DeflateEncoder::new(&mut self.out, Compression::default()),
                count: 0,
                sum: Crc::new(),
            };
            fill(&mut contents)?;
            contents.out.try_finish()?;
            (contents.count, contents.sum.sum())
        } else {
            self.out.sum.reset();
            fill(&mut self.out)?;
            (self.out.count - data, self.out.sum.sum())
        };
        let packed = self.out.count - data;
        if !large && size.max(packed) >= ELSEWHERE {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "an entry took more than it was said to take",
            ));
        }
        self.out.out.seek(SeekFrom::Start(header))?;
        self.out.out.write_all(&local(checksum, size, packed))?;
        self.out.out.seek(SeekFrom::Start(self.out.count))?;
        self.count += 1;

        let short = |x: u64| x.min(ELSEWHERE) as u32;
        let long: Vec<u64> = [size, packed, header].into_iter().filter(|&x| x >= ELSEWHERE).collect();
        let record = &mut self.directory;
        record.extend(CENTRAL.to_le_bytes());
        record.extend(BY_UNIX.to_le_bytes());
        describe(record, name, deflated, large || !long.is_empty(), checksum);
        record.extend([short(packed), short(size)].map(u32::to_le_bytes).as_flattened());
        let extra = if long.is_empty() { Vec::new() } else { extra_64(&long) };
        record.extend(name_len.to_le_bytes());
        record.extend((extra.len() as u16).to_le_bytes());
        // No comment, the first disk, no attributes but those of Unix.
        record.extend([0; 6]);
        record.extend((0o100_644_u32 << 16).to_le_bytes());
        record.extend(short(header).to_le_bytes());
        record.extend(name.as_bytes());
        record.extend(extra);
        Ok(())
    }

    /// Writes the directory.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let (start, size, count) = (self.out.count, self.directory.len() as u64, self.count);
        self.out.write_all(&self.directory)?;
        let mut end = Vec::new();
        if count >= u16::MAX.into() || start.max(size) >= ELSEWHERE {
            end.extend(END_64.to_le_bytes());
            // What follows this number.
            end.extend((END_64_LEN - 12).to_le_bytes());
            end.extend([BY_UNIX, VERSION_64].map(u16::to_le_bytes).as_flattened());
            end.extend([0; 8]);
            end.extend([count, count, size, start].map(u64::to_le_bytes).as_flattened());
            end.extend(LOCATOR_64.to_le_bytes());
            end.extend([0; 4]);
            end.extend((start + size).to_le_bytes());
            end.extend(1u32.to_le_bytes());
        }
        end.extend(END.to_le_bytes());
        end.extend([0; 4]);
        end.extend([count.min(u16::MAX.into()) as u16; 2].map(u16::to_le_bytes).as_flattened());
        end.extend([size, start].map(|x| (x.min(ELSEWHERE) as u32).to_le_bytes()).as_flattened());
        end.extend([0; 2]);
        self.out.write_all(&end)?;
        self.out.flush()
    }
}

/// Versions of the format: the one with deflation, and the one with 64-bit fields, alone and as a program for Unix says
/// it, whose rights of files the directory has.
const VERSION: u16 = 20;
const VERSION_64: u16 = 45;
const BY_UNIX: u16 = 3 << 8 | VERSION_64;

/// The fields that both headers of an entry begin with, up to the checksum.
fn describe(record: &mut Vec<u8>, name: &str, deflated: bool, large: bool, checksum: u32) {
    let version = if large { VERSION_64 } else { VERSION };
    let flags = if name.is_ascii() { 0 } else { UTF_8 };
    // The first of January 1980: the same arrays give the same file.
    let date = 1 << 5 | 1;
    let method = if deflated { DEFLATED } else { STORED };
    record.extend([version, flags, method, 0, date].map(u16::to_le_bytes).as_flattened());
    record.extend(checksum.to_le_bytes());
}

fn extra_64(numbers: &[u64]) -> Vec<u8> {
    let mut extra = [EXTRA_64, numbers.len() as u16 * 8].map(u16::to_le_bytes).as_flattened().to_vec();
    numbers.iter().for_each(|x| extra.extend(x.to_le_bytes()));
    extra
}

/// Counts and sums what is written.
struct Counted<W> {
    out: W,
    count: u64,
    sum: Crc,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.count += n as u64;
        self.sum.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::zip::ZipArchive;
    use ::zip::read::{ArchiveOffset, Config};
    use std::collections::BTreeMap;
    use std::io::{BufReader, Cursor};

    fn contents<R: BufRead + Seek>(entry: &Entry, reader: &mut R) -> Vec<u8> {
        let mut bytes = Vec::new();
        entry.open(reader).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_here_and_by_others() {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file);
        let mut written = BTreeMap::new();
        for deflated in [false, true] {
            for large in [false, true] {
                for len in [0, 1, 100_000] {
                    let bytes: Vec<u8> = (0..len).map(|i: u32| (i / 7) as u8).collect();
                    let name = format!("{len} é {deflated} {large}");
                    writer.entry(&name, deflated, large, |out| out.write_all(&bytes)).unwrap();
                    written.insert(name, bytes);
                }
            }
        }
        writer.finish().unwrap();
        let len = file.get_ref().len() as u64;
        let found = entries(&mut file, len).unwrap();
        let mut theirs = ZipArchive::new(Cursor::new(file.get_ref().clone())).unwrap();
        assert_eq!((found.len(), theirs.len()), (written.len(), written.len()));
        for entry in found {
            assert_eq!(contents(&entry, &mut file), written[&entry.name]);
            let mut bytes = Vec::new();
            theirs.by_name(&entry.name).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, written[&entry.name]);
        }
    }

    #[test]
    fn more_entries_than_16_bits_count() {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file);
        (0..66_000).for_each(|k| writer.entry(&k.to_string(), false, false, |_| Ok(())).unwrap());
        writer.finish().unwrap();
        let len = file.get_ref().len() as u64;
        assert_eq!(entries(&mut file, len).unwrap().len(), 66_000);
        assert_eq!(ZipArchive::new(file).unwrap().len(), 66_000);
    }

    /// A file without its zeros.
    #[derive(Default)]
    struct Sparse {
        parts: BTreeMap<u64, Vec<u8>>,
        at: u64,
        len: u64,
    }

    impl Write for Sparse {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Zeros are equal to themselves one further on.
            if bytes.first().is_some_and(|&b| b != 0 || bytes[1..] != bytes[..bytes.len() - 1]) {
                self.parts.insert(self.at, bytes.to_vec());
            }
            self.at += bytes.len() as u64;
            self.len = self.len.max(self.at);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Sparse {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = (self.len - self.at).min(buffer.len() as u64);
            buffer[..n as usize].fill(0);
            for (&start, part) in self.parts.range(..self.at + n) {
                let from = start.max(self.at);
                let to = (start + part.len() as u64).min(self.at + n);
                if from < to {
                    buffer[(from - self.at) as usize..(to - self.at) as usize]
                        .copy_from_slice(&part[(from - start) as usize..(to - start) as usize]);
                }
            }
            self.at += n;
            Ok(n as usize)
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.at = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(back) => self.len.checked_add_signed(back).unwrap(),
                SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
            };
            Ok(self.at)
        }
    }

    #[test]
    fn lengths_and_places_beyond_32_bits() {
        let zeros = vec![0; 1 << 22];
        let size = 1025u64 << 22;
        let mut file = Sparse::default();
        let mut writer = Writer::new(&mut file);
        let refused =
            writer.entry("small", false, false, |out| (0..1025).try_for_each(|_| out.write_all(&zeros)));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        file = Sparse::default();
        writer = Writer::new(&mut file);
        writer.entry("large", false, true, |out| (0..1025).try_for_each(|_| out.write_all(&zeros))).unwrap();
        writer.entry("behind", true, false, |out| out.write_all(b"it")).unwrap();
        writer.finish().unwrap();
        let len = file.len;
        let mut reader = BufReader::new(file);
        let found = entries(&mut reader, len).unwrap();
        assert_eq!((&*found[0].name, found[0].size, &*found[1].name), ("large", size, "behind"));
        assert_eq!(contents(&found[1], &mut reader), b"it");
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let mut theirs = ZipArchive::with_config(config, reader).unwrap();
        assert_eq!(theirs.by_name("large").unwrap().size(), size);
        let mut bytes = Vec::new();
        theirs.by_name("behind").unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"it");
    }

    #[test]
    fn names_that_are_not_unicode() {
        assert_eq!(decoded(b"x\x80\xe1\xff", 0).unwrap(), "x\u{c7}\u{df}\u{a0}");
        assert_eq!(decoded("é".as_bytes(), UTF_8).unwrap(), "é");
        assert!(decoded(b"\xe1", UTF_8).is_err());
    }
}
