package lake

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"daybook/internal/disk"
)

// TestPrunedManifestsAreCompressed: the manifests of pruned releases are compressed and can still be read.
func TestPrunedManifestsAreCompressed(t *testing.T) {
	l, under := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	var days []string
	for d := range 60 {
		days = append(days, day(t, "2024-11-01").Start().AddDate(0, 0, d).Format(time.DateOnly))
	}
	text := map[int]string{}
	for n := 1; n <= 3; n++ {
		data, err := publishDays(t, s, fmt.Sprint(n), days...).encode()
		if err != nil {
			t.Fatal(err)
		}
		text[n] = string(data)
	}
	// A crash between the two steps leaves both files of the first release.
	if err := s.archiveManifest(1); err != nil {
		t.Fatal(err)
	}
	if err := s.keepManifest(1); err != nil {
		t.Fatal(err)
	}
	if pruned, err := s.Prune(Retention{Keep: 1}, false); err != nil || len(pruned.Removed) != 2 {
		t.Fatalf("pruned %+v, %v", pruned, err)
	}
	for n := 1; n <= 3; n++ {
		m, err := s.Manifest(n)
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.encode()
		if err != nil || string(data) != text[n] {
			t.Errorf("the manifest of release %d is another one (%v)", n, err)
		}
	}
	if names, err := under.List(s.path(manifestsDir)); err != nil || fmt.Sprint(sorted(names)) != "[000001.json.gz 000002.json.gz 000003.json]" {
		t.Errorf("manifests %v, %v", names, err)
	}
	info, err := under.Stat(s.path(manifestsDir, "000002.json.gz"))
	if err != nil || info.Size()*3 > int64(len(text[2])) {
		t.Errorf("%d bytes are kept of %d, %v", info.Size(), len(text[2]), err)
	}
	entries, err := s.List()
	if err != nil || len(entries) != 3 || !entries[0].Pruned || !entries[1].Pruned || entries[2].Pruned {
		t.Errorf("list %+v, %v", entries, err)
	}
	damage, err := disk.ReadFile(s.fs, s.path(manifestsDir, "000001.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inflate(damage[:len(damage)/2]); err == nil {
		t.Error("half a compressed manifest was read")
	}
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
