// Command publisher makes releases of a state and reports on them.
package main

import (
	"io"
	"os"

	"daybook/internal/cli"
)

const about = "Publishes numbered, immutable releases of daily cost tables in Parquet, " +
	"recomputed from events where something changed, checked, and made current in one step."

type program struct {
	Run         runCommand         `cmd:"" help:"Publish what is due and changed."`
	Follow      followCommand      `cmd:"" help:"Publish now and at every cutoff until SIGTERM, for containers and other places without a scheduler."`
	Backfill    backfillCommand    `cmd:"" help:"Recompute a window of due days, changed or not, and publish it with everything else that changed, in one release."`
	Verify      verifyCommand      `cmd:"" help:"Recompute everything that is released, compare, and read every file."`
	Compare     compareCommand     `cmd:"" help:"Compare a release with a CSV file of expected totals."`
	Audit       auditCommand       `cmd:"" help:"Rebuild a release from the topic's records with independent code, and compare every cell."`
	Certificate certificateCommand `cmd:"" help:"Print digests that compare two rebuilds without the data, or compare them."`
	Path        pathCommand        `cmd:"" help:"Print the path of a release: resolve it once per job."`
	List        listCommand        `cmd:"" help:"List the releases."`
	Show        showCommand        `cmd:"" help:"Show what changed in a release."`
	Status      statusCommand      `cmd:"" help:"Show what is released, and whether a day is complete."`
	Rollback    rollbackCommand    `cmd:"" help:"Publish the content of an older release again, and hold the tenant."`
	Resume      resumeCommand      `cmd:"" help:"Lift the hold of a rollback."`
	Keep        keepCommand        `cmd:"" help:"Label a release, so that it is never pruned."`
	Prune       pruneCommand       `cmd:"" help:"Remove old releases and keep their manifests."`
}

func main() {
	cli.RestrictFiles(cli.NoOthers)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Main("publisher", about, &program{}, args, stdout, stderr)
}
