// The theme's search is a dialog without a name, which a screen reader would not tell.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
