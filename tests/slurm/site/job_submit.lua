-- job_submit.lua of the cluster that is configured like a site: rules that no sensible job breaks.
-- (No defaults: what a plugin fills in is seen in a waiting job only when it has been submitted.)
function slurm_job_submit(job, partitions, uid)
   if job.work_dir == "/" then
      slurm.log_user("Do not submit from the root folder")
      return slurm.ERROR
   end
   if job.script == "" then
      slurm.log_user("The script is empty")
      return slurm.ERROR
   end
   return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, uid)
   return slurm.SUCCESS
end

return slurm.SUCCESS
