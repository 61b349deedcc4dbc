"""Seeds: check a dump, restore it once, and publish it as an image from which every preview's database starts."""
