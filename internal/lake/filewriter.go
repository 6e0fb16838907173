package lake

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/parquet"
)

// createdBy is in every file's footer, in the form that readers of the Java world ask for before they trust statistics.
const createdBy = "daybook version 1 (build daybook-format-1)"

// writeBufferBytes is how many bytes are handed to the file at a time.
const writeBufferBytes = 64 << 10

// fileWriter writes one Parquet file of a release, and computes what the manifest states of its bytes.
type fileWriter struct {
	*parquet.Writer
	file   disk.File
	buffer *bufio.Writer // to file
	hash   hash.Hash
	bytes  int64
	sum    billing.Money // of the dataset's money column
}

func newFileWriter(fsys disk.FS, name string, schema *parquet.Schema) (*fileWriter, error) {
	file, err := fsys.Create(name)
	if err != nil {
		return nil, err
	}
	w := &fileWriter{file: file, buffer: bufio.NewWriterSize(file, writeBufferBytes), hash: sha256.New()}
	if w.Writer, err = parquet.NewWriter(hashedBuffer{w}, schema, createdBy); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// hashedBuffer is the bytes of a fileWriter.
type hashedBuffer struct{ w *fileWriter }

func (h hashedBuffer) Write(p []byte) (int, error) {
	h.w.hash.Write(p) // before the file, which may overwrite p
	h.w.bytes += int64(len(p))
	return h.w.buffer.Write(p)
}

// addToSum adds a row's amount to the sum of the file. A sum outside DECIMAL(38,18) is an error.
func (w *fileWriter) addToSum(m billing.Money) (err error) {
	w.sum, err = addMoney(w.sum, m)
	return err
}

// finish ends the file, hands it to b to be synced and closed, and enters its rows, bytes and hash into f. After an
// error the file is closed.
func (w *fileWriter) finish(b *Build, f *File) error {
	err := w.Close()
	if err == nil {
		err = w.buffer.Flush()
	}
	if err != nil {
		w.abandon()
		return err
	}
	b.syncInBackground(w.file)
	f.Rows, f.Bytes, f.SHA256 = w.Rows(), w.bytes, hex.EncodeToString(w.hash.Sum(nil))
	return nil
}

// abandon closes the file after an error. The file is removed with the build.
func (w *fileWriter) abandon() { _ = w.file.Close() }

// addMoney adds m to a file's sum. It is an error where m or the sum leaves DECIMAL(38,18).
func addMoney(sum, m billing.Money) (billing.Money, error) {
	total, ok := sum.Add(m)
	if !ok || !m.InRange() {
		return sum, fmt.Errorf("the sum of the file leaves DECIMAL(38,18) at %s + %s", sum, m)
	}
	return total, nil
}

// decimalOf returns money as files hold it.
func decimalOf(m billing.Money) parquet.Decimal { return parquet.DecimalFromParts(m.Parts()) }

// moneyOf returns the money of a value in a file.
func moneyOf(d parquet.Decimal) billing.Money { return billing.MoneyFromParts(d.Parts()) }

// appendMoneyOrNull adds money to a column, or null where there is none.
func appendMoneyOrNull(c *parquet.ColumnWriter, m billing.Money, has bool) {
	if !has {
		c.AppendNull()
		return
	}
	c.AppendDecimal(decimalOf(m))
}
