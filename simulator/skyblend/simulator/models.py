"""The names of models that Open-Meteo accepts; each is a forecaster of its own here."""

_PREFIXES = {
    "": "best_match icon_seamless icon_global icon_eu icon_d2 gfs_seamless gfs_global gfs_hrrr "
    "gem_seamless gem_global gem_hrdps_continental jma_seamless kma_seamless ukmo_seamless "
    "metno_seamless metno_nordic knmi_seamless dmi_seamless geosphere_seamless "
    "chmi_aladin_seamless cma_grapes_global italia_meteo_arpae_icon_2i bom_access_global",
    "ecmwf_": "ifs ifs025 aifs025_single",
    "ncep_": "gfs_seamless gfs_global gfs025 hrrr_conus nbm_conus nam_conus aigfs025",
    "dwd_icon_": "seamless global eu d2",
    "cmc_gem_": "seamless gdps rdps hrdps hrdps_west",
    "jma_": "msm gsm",
    "kma_": "ldps gdps",
    "meteofrance_": "seamless arpege_world arpege_europe arome_france arome_france_hd",
    "ukmo_": "global_deterministic_10km uk_deterministic_2km",
    "knmi_": "harmonie_arome_europe harmonie_arome_netherlands",
    "dmi_": "harmonie_arome_europe",
    "meteoswiss_icon_": "seamless ch1 ch2",
}
FORECAST_MODELS = frozenset(
    prefix + name for prefix, names in _PREFIXES.items() for name in names.split()
)
ARCHIVE_MODELS = frozenset(
    {"best_match", "ecmwf_ifs", "era5_seamless", "era5", "era5_land", "era5_ensemble", "cerra"}
)
