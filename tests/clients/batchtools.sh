# debian: r-cran-batchtools
# A registry of ten jobs with makeClusterFunctionsSlurm, one job for each and as an array, waited for and read.
set -eu
cat >slurm.tmpl <<'T'
#!/bin/bash
#SBATCH --job-name=<%= job.name %>
#SBATCH --output=<%= log.file %>
#SBATCH --error=<%= log.file %>
#SBATCH --time=5
#SBATCH --ntasks=1
#SBATCH --mem-per-cpu=300M
<%= if (array.jobs) sprintf("#SBATCH --array=1-%i", nrow(jobs)) else "" %>
Rscript -e 'batchtools::doJobCollection("<%= uri %>")'
T
cat >run.R <<'R'
library(batchtools)
for (as.array in c(FALSE, TRUE)) {
    reg <- makeRegistry(file.dir = paste0("registry", as.array), conf.file = NA, seed = 1)
    reg$cluster.functions <- makeClusterFunctionsSlurm("slurm.tmpl", array.jobs = as.array)
    batchMap(function(x) x^2, x = 1:10)
    ids <- findJobs()
    if (as.array) ids$chunk <- 1L
    submitJobs(ids, resources = list(chunks.as.arrayjobs = as.array))
    stopifnot(waitForJobs(sleep = 1, timeout = 240))
    cat(unlist(reduceResultsList()), "\n")
}
R
Rscript run.R >result.txt
