package parquet

import (
	"encoding/binary"

	"daybook/internal/intern"
)

// dictionary holds the distinct values of a column chunk in the order of their first occurrence
// (RLE_DICTIONARY in the Parquet specification, Encodings.md).
type dictionary struct {
	values  []string
	indexes map[string]int32
	recent  [intern.Slots]recentValue // a cache in front of indexes, which needs no hash of the whole value
	scratch []int32
	spare   []string // memory for the next values
}

type recentValue struct {
	value string
	index int32
}

func newDictionary() *dictionary { return &dictionary{indexes: map[string]int32{}} }

// index returns a value's index. It adds a value that is new.
func (d *dictionary) index(s string) int32 {
	slot := &d.recent[0]
	if s != "" {
		slot = &d.recent[intern.Slot(s)]
		if slot.value == s {
			return slot.index
		}
	}
	index, ok := d.indexes[s]
	if !ok {
		index = int32(len(d.values))
		d.values, d.indexes[s] = append(d.values, s), index
	}
	*slot = recentValue{s, index}
	return index
}

// bounds returns the least and the greatest of the values with some indexes, and how long the dictionary has to be
// for all of them.
func (d *dictionary) bounds(indexes []int32) (least, greatest string, size int) {
	seen := d.zeros()
	least, greatest = d.values[indexes[0]], d.values[indexes[0]]
	for _, i := range indexes {
		if seen[i] != 0 {
			continue
		}
		seen[i], size = 1, max(size, int(i)+1)
		least, greatest = min(least, d.values[i]), max(greatest, d.values[i])
	}
	return least, greatest, size
}

// retain drops all values but those with some indexes, and replaces these by the values' new indexes.
func (d *dictionary) retain(indexes []int32) {
	next, retained := d.zeros(), d.spare[:0] // next holds a value's new index, plus one
	for i, index := range indexes {
		if next[index] == 0 {
			retained = append(retained, d.values[index])
			next[index] = int32(len(retained))
		}
		indexes[i] = next[index] - 1
	}
	clear(d.values)
	clear(d.indexes)
	d.values, d.spare, d.recent = retained, d.values, [intern.Slots]recentValue{}
	for i, s := range retained {
		d.indexes[s] = int32(i)
	}
}

// zeros returns scratch memory with a zero for each value.
func (d *dictionary) zeros() []int32 {
	d.scratch = append(d.scratch[:0], make([]int32, len(d.values))...)
	return d.scratch
}

// appendPlain appends strings in the encoding PLAIN: each after its length, in four bytes, little endian.
func appendPlain(dst []byte, values []string) []byte {
	for _, s := range values {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
		dst = append(dst, s...)
	}
	return dst
}
