"""Ways of using some ranks for one GAN, compared at equal cost: ``hpcgan compare``."""
