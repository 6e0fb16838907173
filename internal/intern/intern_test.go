package intern

import (
	"strings"
	"testing"
)

// names are what one bill repeats from row to row.
var names = []string{
	"AmazonEC2", "AmazonS3", "AmazonRDS", "AWSLambda", "AmazonDynamoDB", "AmazonCloudFront", "awskms", "AmazonEKS", "AWSQueueService",
	"AmazonCloudWatch", "AWSDataTransfer", "AmazonOpenSearch", "us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1",
	"ap-northeast-1", "OnDemand", "Reserved", "Spot", "SavingsPlan", "Usage",
}

// TestSlot: text and bytes have the same slot, every length has one, and few names of a bill share theirs.
func TestSlot(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 256; n++ {
		s := strings.Repeat("x", n)
		if Slot(s) != Slot([]byte(s)) {
			t.Errorf("%d bytes: slot %d as text, %d as bytes", n, Slot(s), Slot([]byte(s)))
		}
	}
	used := map[uint8]bool{}
	for _, name := range names {
		used[Slot(name)] = true
	}
	if len(used) < len(names)-2 {
		t.Errorf("%d names are in %d slots", len(names), len(used))
	}
}

func BenchmarkSlot(b *testing.B) {
	var sum int
	for i := 0; b.Loop(); i++ {
		sum += int(Slot(names[i%len(names)]))
	}
	_ = sum
}
