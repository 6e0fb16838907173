// Package rot damages files in the ways that disks do: bits flip, sectors are
// zeroed or change places, files are cut, lost, exchanged or come back as they
// once were. It is for tests of what reads files; nothing that ships imports it.
package rot

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sector is what a disk loses at once, in bytes.
const Sector = 512

// Files are the contents of all files below a directory, by path.
func Files(fs vfs.FS, dir string) (map[string][]byte, error) {
	all := map[string][]byte{}
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		name = path.Join(dir, name)
		info, err := fs.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			below, err := Files(fs, name)
			if err != nil {
				return nil, err
			}
			maps.Copy(all, below)
			continue
		}
		f, err := fs.Open(name)
		if err != nil {
			return nil, err
		}
		if all[name], err = io.ReadAll(f); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Disk is a file system in memory that holds files.
func Disk(files map[string][]byte) (*vfs.MemFS, error) {
	fs := vfs.NewMem()
	for name, data := range files {
		if err := fs.MkdirAll(path.Dir(name), 0o755); err != nil {
			return nil, err
		}
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(bytes.Clone(data)); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return fs, nil
}

// Each calls try with each damage of files, one at a time. older are files of an
// earlier moment; chance picks bits.
func Each(files, older map[string][]byte, chance *rand.Rand, try func(what string, damaged map[string][]byte)) {
	with := func(name string, data []byte) map[string][]byte {
		m := maps.Clone(files)
		m[name] = data
		return m
	}
	names := slices.Sorted(maps.Keys(files))
	for i, name := range names {
		data := files[name]
		lost := maps.Clone(files)
		delete(lost, name)
		try("lost: "+name, lost)
		if was, ok := older[name]; ok && !bytes.Equal(was, data) {
			try("rolled back: "+name, with(name, was))
		}
		for _, other := range names[i+1:] {
			if path.Ext(other) == path.Ext(name) && len(data) > 0 && len(files[other]) > 0 && !bytes.Equal(data, files[other]) {
				exchanged := with(name, files[other])
				exchanged[other] = data
				try("exchanged: "+name+" and "+other, exchanged)
			}
		}
		for at := 0; at < len(data); at += Sector {
			end := min(at+Sector, len(data))
			where := fmt.Sprintf("%s at %d of %d", name, at, len(data))
			flipped := bytes.Clone(data)
			flipped[at+chance.IntN(end-at)] ^= 1 << chance.IntN(8)
			try("flipped: "+where, with(name, flipped))
			zeroed := bytes.Clone(data)
			clear(zeroed[at:end])
			try("zeroed: "+where, with(name, zeroed))
			try("cut: "+where, with(name, data[:at]))
			if next := min(end+Sector, len(data)); next > end && next-end == end-at {
				try("sectors exchanged: "+where, with(name, slices.Concat(data[:at], data[end:next], data[at:end], data[next:])))
			}
		}
	}
}
