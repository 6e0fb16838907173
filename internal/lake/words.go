package lake

import (
	"encoding/binary"

	"daybook/internal/intern"
)

// words are the different values of a column that repeat: its dictionary, in the order of first sight.
type words struct {
	all    []string
	places map[string]int32
	recent [intern.Slots]word // a cache of places
	used   []int32            // scratch
	spare  []string           // likewise
}

type word struct {
	text  string
	place int32
}

func newWords() *words { return &words{places: map[string]int32{}} }

// place finds a word, or adds it.
func (w *words) place(s string) int32 {
	at := &w.recent[0]
	if s != "" {
		at = &w.recent[intern.Slot(s)]
		if at.text == s {
			return at.place
		}
	}
	place, ok := w.places[s]
	if !ok {
		place = int32(len(w.all))
		w.all, w.places[s] = append(w.all, s), place
	}
	*at = word{s, place}
	return place
}

// bounds are the least and the greatest of those at some places, and how many words there are up to the last of them.
func (w *words) bounds(places []int32) (least, greatest string, upTo int) {
	used := w.scratch()
	least, greatest = w.all[places[0]], w.all[places[0]]
	for _, p := range places {
		if used[p] != 0 {
			continue
		}
		used[p], upTo = 1, max(upTo, int(p)+1)
		least, greatest = min(least, w.all[p]), max(greatest, w.all[p])
	}
	return least, greatest, upTo
}

// restart leaves only the words at some places, and puts in their new ones.
func (w *words) restart(places []int32) {
	next, kept := w.scratch(), w.spare[:0] // next: a word's new place, and one
	for i, p := range places {
		if next[p] == 0 {
			kept = append(kept, w.all[p])
			next[p] = int32(len(kept))
		}
		places[i] = next[p] - 1
	}
	clear(w.all)
	clear(w.places)
	w.all, w.spare, w.recent = kept, w.all, [intern.Slots]word{}
	for i, s := range kept {
		w.places[s] = int32(i)
	}
}

// scratch has a zero for each word.
func (w *words) scratch() []int32 {
	w.used = append(w.used[:0], make([]int32, len(w.all))...)
	return w.used
}

// plain appends words in Parquet's encoding PLAIN.
func plain(to []byte, words []string) []byte {
	for _, s := range words {
		to = binary.LittleEndian.AppendUint32(to, uint32(len(s)))
		to = append(to, s...)
	}
	return to
}
