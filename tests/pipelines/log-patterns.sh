# shows: log patterns mean what they mean directly
printf '#!/bin/sh\necho out "$@"; echo err >&2' > job.sh
mkdir p; cd p
for pattern in a%j.log b%J.log c%A.log d%a.log e%x.log f%u.log g%%.log h%%%j.log i%4a j%5j k%04A m%0j 'n o' 'p\%j' 'q%j\x' 'r\\' s%z t%5z u% v%5 w%n%t w2%s "x%-4j" 'y;$HOME' $'z\nz' 'none'; do
    sbatch -J "na%me" -o "$pattern" ../job.sh "$pattern"
done
mkdir sub
sbatch -o sub/%x_%j.out ../job.sh
sbatch -o nosuch/x.out -J nosuch ../job.sh
sbatch -o x.out -e x.err ../job.sh
sbatch -o y.out -e nosuch/y.err ../job.sh
sbatch -o /dev/null ../job.sh
sbatch -o /dev/null -e only.err ../job.sh
sbatch -o "$PWD/abs.out" ../job.sh
sbatch -o sub ../job.sh
sbatch -o %N.out ../job.sh
sbatch -J two -o %N-%x.out ../job.sh
cd ..
mkdir 'q%j'; cd 'q%j'; sbatch -o rel.out ../job.sh; sbatch ../job.sh; cd ..
mkdir 'b\s'; cd 'b\s'; sbatch -o rel%j.out ../job.sh; sbatch ../job.sh; cd ..
mkdir sp\ ace; cd sp\ ace; sbatch -o 're l%j.out' ../job.sh
mkdir 'b%b'; cd 'b%b'; sbatch -o given.out ../job.sh; sbatch ../job.sh; cd ..
sbatch -o 'index%b.out' --array=13 ../job.sh
sbatch -o 'r%r-%S.out' ../job.sh
sbatch -o '5%5%%j.out' ../job.sh
