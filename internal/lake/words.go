package lake

import (
	"encoding/binary"
)

// words are the different values of a column that repeat: its dictionary, in the order of first sight.
type words struct {
	all    []string
	places map[string]int32
	recent [64]word // by a few of their bytes: most values are among them, and found without hashing
	used   []bool   // scratch
}

type word struct {
	text  string
	place int32
}

func newWords() *words { return &words{places: map[string]int32{}} }

// place finds a word, or adds it.
func (w *words) place(s string) int32 {
	at := &w.recent[0]
	if n := len(s); n > 0 {
		at = &w.recent[(n+int(s[n/2])*3+int(s[n-1])*7)%len(w.recent)]
	}
	if at.text == s && len(w.all) > 0 && w.all[at.place] == s {
		return at.place
	}
	place, ok := w.places[s]
	if !ok {
		place = int32(len(w.all))
		w.all, w.places[s] = append(w.all, s), place
	}
	*at = word{s, place}
	return place
}

// bounds are the least and the greatest of those at some places.
func (w *words) bounds(places []int32) (least, greatest string) {
	w.used = append(w.used[:0], make([]bool, len(w.all))...)
	least, greatest = w.all[places[0]], w.all[places[0]]
	for _, p := range places {
		if w.used[p] {
			continue
		}
		w.used[p] = true
		least, greatest = min(least, w.all[p]), max(greatest, w.all[p])
	}
	return least, greatest
}

// plain appends the words in Parquet's encoding PLAIN.
func (w *words) plain(to []byte) []byte {
	for _, s := range w.all {
		to = binary.LittleEndian.AppendUint32(to, uint32(len(s)))
		to = append(to, s...)
	}
	return to
}

func (w *words) reset() {
	clear(w.all)
	clear(w.places)
	w.all, w.recent = w.all[:0], [64]word{}
}
