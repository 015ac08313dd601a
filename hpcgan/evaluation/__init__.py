"""Is a GAN any good? Features of samples, figures that compare two sets, and their floors; by all
ranks."""
