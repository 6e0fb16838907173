package lake

import (
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// packer packs pages, as many at once as there are cores; it keeps its memory. The next level costs a third of the
// speed and, with random event ids, saves nothing.
var packer = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true),
	)
	if err != nil {
		panic(err) // of options that do not go together
	}
	return e
})

// pack appends what src comes to in zstd.
func pack(to, src []byte) []byte { return packer().EncodeAll(src, to) }
