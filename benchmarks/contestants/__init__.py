"""Programs that train the same networks in the same way, to be compared by benchmarks.speed."""
