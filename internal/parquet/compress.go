package parquet

import (
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// zstdRatio is the greatest ratio of zstd (RFC 8878): a block of 128 KiB that repeats one byte takes four bytes.
const zstdRatio = (128 << 10) / 4

// zstdEncoder compresses pages, as many at a time as there are cores, and keeps its memory. The next level costs a
// third of the speed and saves nothing where ids are random.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true),
	)
	if err != nil {
		panic(err) // the options contradict each other
	}
	return e
})

// compress appends src, compressed, to dst.
func compress(dst, src []byte) []byte { return zstdEncoder().EncodeAll(src, dst) }
