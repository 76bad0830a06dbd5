//! The silhouettes, on a canvas of 400 by 400 with the table top at 330.
//!
//! Classes: `c` the product's colour, `d` its shadow, `w` wood, `k` dark wood, `m` brass, `i` iron, `l` light,
//! `g` green; `s` a thick line in the shadow colour, `t` a thin dark line.

use std::fmt;
use std::str::FromStr;

/// The parts of a drawing, back to front.
pub(super) struct Sketch {
    /// Drawn first, with its own colours: handles, legs, what is behind.
    pub(super) under: &'static str,
    /// The body: takes the product's colour, pattern and light, so it has no colours itself.
    pub(super) body: &'static str,
    /// Drawn last: lids, seams, highlights.
    pub(super) over: &'static str,
    /// Half the width of the shadow on the table.
    pub(super) width: u16,
    /// Stands on the table; otherwise it hangs on the wall.
    pub(super) stands: bool,
    /// May wear a pattern.
    pub(super) patterned: bool,
}

macro_rules! shapes {
    ($($name:ident $stance:ident $width:literal $pattern:ident: $under:literal, $body:literal, $over:literal;)*) => {
        /// A silhouette.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Shape { $($name),* }

        impl Shape {
            /// Every silhouette.
            #[cfg(test)]
            pub(crate) const ALL: &[Shape] = &[$(Shape::$name),*];

            pub(super) fn sketch(self) -> Sketch {
                match self {
                    $(Shape::$name => Sketch {
                        under: $under,
                        body: $body,
                        over: $over,
                        width: $width,
                        stands: stance::$stance,
                        patterned: dress::$pattern,
                    },)*
                }
            }
        }

        impl fmt::Display for Shape {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Shape::$name => stringify!($name),)* })
            }
        }

        impl FromStr for Shape {
            type Err = UnknownShape;

            fn from_str(text: &str) -> Result<Self, UnknownShape> {
                // Addresses are in small letters.
                $(if text.eq_ignore_ascii_case(stringify!($name)) {
                    return Ok(Shape::$name);
                })*
                Err(UnknownShape)
            }
        }
    };
}

/// The text names no silhouette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownShape;

impl fmt::Display for UnknownShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such silhouette")
    }
}

impl std::error::Error for UnknownShape {}

mod stance {
    #![allow(non_upper_case_globals, reason = "words of the table below")]
    pub(super) const stands: bool = true;
    pub(super) const hangs: bool = false;
}

mod dress {
    #![allow(non_upper_case_globals, reason = "words of the table below")]
    pub(super) const patterned: bool = true;
    pub(super) const plain: bool = false;
}

shapes! {
    Kettle stands 120 plain:
        r##"<path class="s" d="M125 190C120 90 280 90 275 190" /><path class="d" d="M278 214l62-44 12 10-58 84z"/>"##,
        r##"<path d="M112 318c-10-92 28-150 88-150s98 58 88 150c-2 10-8 14-18 14H130c-10 0-16-4-18-14z"/>"##,
        r##"<path class="d" d="M150 178c14-14 86-14 100 0z"/><circle class="w" cx="200" cy="158" r="13"/><path class="w" d="M165 112c20-10 50-10 70 0l-4 14c-18-8-44-8-62 0z"/>"##;
    Saucepan stands 120 plain:
        r##"<path class="w" d="M270 236l112-26c8-2 10 14 2 17l-112 33z"/>"##,
        r##"<path d="M96 214h184v92c0 16-10 26-26 26H122c-16 0-26-10-26-26z"/>"##,
        r##"<path class="d" d="M88 206h200v14H88z"/><path class="c" d="M104 206c14-34 154-34 168 0z"/><path d="M104 206c14-34 154-34 168 0z" opacity=".12"/><circle class="w" cx="188" cy="174" r="13"/>"##;
    Casserole stands 140 plain:
        r##"<path class="s" d="M84 238H60v34h26M316 238h24v34h-26"/>"##,
        r##"<path d="M78 222h244v78c0 20-12 32-32 32H110c-20 0-32-12-32-32z"/>"##,
        r##"<path class="d" d="M70 214h260v14H70z"/><path class="c" d="M86 214c20-48 208-48 228 0z"/><path d="M86 214c20-48 208-48 228 0z" opacity=".1"/><rect class="m" x="182" y="158" width="36" height="18" rx="9"/>"##;
    Bowl stands 110 patterned:
        "",
        r##"<path d="M70 206h260c0 72-44 112-92 118v8h-76v-8C114 318 70 278 70 206z"/>"##,
        r##"<ellipse cx="200" cy="206" rx="130" ry="22" class="d"/><ellipse cx="200" cy="209" rx="116" ry="15" fill="#000" opacity=".18"/>"##;
    Jar stands 90 patterned:
        "",
        r##"<path d="M122 178c0-12 8-18 18-18h120c10 0 18 6 18 18v132c0 14-8 22-22 22H144c-14 0-22-8-22-22z"/>"##,
        r##"<rect class="w" x="126" y="130" width="148" height="34" rx="8"/><circle class="k" cx="200" cy="120" r="14"/><rect class="l" x="158" y="222" width="84" height="46" rx="4" opacity=".85"/><path class="t" d="M172 240h56M180 252h40" opacity=".5"/>"##;
    Board stands 100 plain:
        "",
        r##"<path d="M138 96c0-10 6-16 16-16h92c10 0 16 6 16 16v220c0 10-6 16-16 16h-92c-10 0-16-6-16-16zM200 108a12 12 0 1 0 .1 0z" fill-rule="evenodd"/>"##,
        r##"<path class="s" d="M156 160v150M180 150v166M224 148v168M246 160v150" style="stroke-width:2;opacity:.4"/>"##;
    Mug stands 85 patterned:
        r##"<path class="s" d="M262 204c58-14 58 84-2 78" style="stroke-width:17"/>"##,
        r##"<path d="M128 172h140v128c0 22-12 32-32 32h-76c-20 0-32-10-32-32z"/>"##,
        r##"<ellipse class="d" cx="198" cy="172" rx="70" ry="14"/><ellipse cx="198" cy="175" rx="60" ry="9" fill="#3a2416"/>"##;
    Plate stands 110 plain:
        r##"<path class="k" d="M150 332l20-40h60l20 40z"/>"##,
        r##"<circle cx="200" cy="196" r="126"/>"##,
        r##"<circle class="s" cx="200" cy="196" r="84" style="stroke-width:3;opacity:.55"/><circle class="s" cx="200" cy="196" r="119" style="stroke-width:3;opacity:.4"/>"##;
    Jug stands 85 patterned:
        r##"<path class="s" d="M258 176c66-10 62 100-6 104" style="stroke-width:16"/>"##,
        r##"<path d="M142 124l-30-14c20-8 34-12 50-12h82l14 16c-14 40 18 76 18 140 0 54-20 78-42 78h-70c-22 0-42-24-42-78 0-64 34-90 20-130z"/>"##,
        r##"<path class="d" d="M118 108c40 14 100 14 136 2l-12-12h-80c-16 0-28 4-44 10z"/>"##;
    Teapot stands 120 patterned:
        r##"<path class="s" d="M286 206c70-24 66 92-12 88" style="stroke-width:15"/><path class="c" d="M122 222l-64-46c-8 4-10 12-8 18l58 96z"/><path d="M122 222l-64-46c-8 4-10 12-8 18l58 96z" opacity=".14"/>"##,
        r##"<path d="M200 178c62 0 98 34 98 80 0 48-34 74-58 74h-80c-24 0-58-26-58-74 0-46 36-80 98-80z"/>"##,
        r##"<path class="d" d="M142 188c18-28 98-28 116 0z"/><circle class="w" cx="200" cy="156" r="13"/>"##;
    Tumbler stands 75 plain:
        "",
        r##"<path d="M132 150h136l-12 166c-1 10-6 16-16 16h-80c-10 0-15-6-16-16z" opacity=".82"/>"##,
        r##"<ellipse class="l" cx="200" cy="150" rx="68" ry="12" opacity=".55"/><path class="l" d="M150 172l8 134h10l-6-134z" opacity=".5"/>"##;
    Carafe stands 80 plain:
        r##"<rect class="w" x="180" y="66" width="40" height="40" rx="8"/>"##,
        r##"<path d="M172 96h56v52c0 24 58 60 58 124 0 42-22 60-46 60h-80c-24 0-46-18-46-60 0-64 58-100 58-124z" opacity=".8"/>"##,
        r##"<path class="l" d="M140 262c0-36 26-60 38-84l8 4c-14 26-32 48-32 84z" opacity=".55"/><ellipse class="l" cx="200" cy="98" rx="28" ry="6" opacity=".6"/>"##;
    TableLamp stands 80 patterned:
        r##"<path class="l" d="M136 78h128l36 112H100z"/><path d="M136 78h128l36 112H100z" fill="#e8c88a" opacity=".45"/><rect class="m" x="192" y="188" width="16" height="26"/>"##,
        r##"<path d="M176 212h48c44 30 50 120 8 120h-64c-42 0-36-90 8-120z"/>"##,
        r##"<ellipse cx="200" cy="190" rx="100" ry="12" fill="#fff6dc"/>"##;
    Pendant hangs 0 plain:
        r##"<path class="t" d="M200 0v130"/><rect class="m" x="188" y="118" width="24" height="34" rx="4"/><path d="M96 262l-60 138h328l-60-138z" fill="#fff3cf" opacity=".55"/>"##,
        r##"<path d="M178 150h44c60 16 92 60 96 112H82c4-52 36-96 96-112z"/>"##,
        r##"<ellipse class="l" cx="200" cy="262" rx="118" ry="16"/><circle cx="200" cy="264" r="20" fill="#ffe9a8"/>"##;
    FloorLamp stands 90 plain:
        r##"<path class="l" d="M150 40h100l30 86H120z"/><path d="M150 40h100l30 86H120z" fill="#e8c88a" opacity=".4"/>"##,
        r##"<path d="M194 126h12l64 206h-16l-50-164h-8l-50 164h-16zM196 150h8v182h-8z"/>"##,
        r##"<ellipse cx="200" cy="126" rx="80" ry="9" fill="#fff6dc"/>"##;
    Lantern stands 80 plain:
        r##"<path class="s" d="M160 128C160 60 240 60 240 128"/><path d="M134 164h132v146H134z" fill="#fff1c4" opacity=".75"/><rect class="l" x="184" y="240" width="32" height="70" rx="3"/><path d="M200 196c14 18 14 36 0 40-14-4-14-22 0-40z" fill="#eea23a"/>"##,
        r##"<path d="M126 310h148v22H126zM148 120h104l22 48H126zM126 166h12v146h-12zM262 166h12v146h-12zM196 166h8v28h-8z"/>"##,
        "";
    DeskLamp stands 80 plain:
        r##"<path class="t" d="M196 322L150 208l86-92" style="stroke-width:10"/><circle class="m" cx="150" cy="208" r="11"/><path d="M262 190l20 142H92z" fill="#fff3cf" opacity=".6"/>"##,
        r##"<path d="M140 318h116c8 0 12 14 0 14H140c-12 0-8-14 0-14zM224 100l22-16 70 74-84 52z"/>"##,
        r##"<path class="l" d="M316 158l-84 52c14 16 92-26 84-52z"/>"##;
    Throw stands 130 patterned:
        r##"<path class="s" d="M104 330v-20M128 332v-20M152 332v-20M176 332v-20" style="stroke-width:3"/>"##,
        r##"<path d="M92 132c40-18 176-18 216 0 10 6 14 16 14 28v150c0 14-8 22-20 22H98c-12 0-20-8-20-22V160c0-12 4-22 14-28z"/>"##,
        r##"<path class="s" d="M80 200c60 18 180 18 240 0M80 262c60 18 180 18 240 0" style="stroke-width:5;opacity:.5"/><path class="d" d="M92 132c40-18 176-18 216 0-40 16-176 16-216 0z" opacity=".6"/>"##;
    Cushion stands 120 patterned:
        "",
        r##"<path d="M84 128c70 18 162 18 232 0 18-4 26 8 22 22-14 54-14 112 0 160 4 16-6 26-22 22-70-16-162-16-232 0-16 4-26-6-22-22 14-48 14-106 0-160-4-14 4-26 22-22z"/>"##,
        r##"<path class="s" d="M100 148c60 14 140 14 200 0M100 314c60-12 140-12 200 0" style="stroke-width:2;opacity:.5"/>"##;
    Towel stands 110 patterned:
        "",
        r##"<path d="M104 250c0-10 6-16 16-16h160c12 0 20 8 20 20v58c0 12-8 20-20 20H120c-10 0-16-6-16-16zM112 160c0-10 6-16 16-16h150c12 0 18 8 18 18v50c0 12-8 18-18 18H128c-10 0-16-6-16-16z"/>"##,
        r##"<path class="s" d="M120 258h164M120 282h164M120 306h164M126 168h154M126 190h154M126 210h154" style="stroke-width:2;opacity:.4"/><path class="l" d="M256 234h16v98h-16zM252 144h16v86h-16z" opacity=".6"/>"##;
    Rug stands 150 patterned:
        r##"<path class="s" d="M92 272l-17-2M82 284l-19-1M71 298l-20 0M59 314l-20 1M308 272l17-2M318 284l19-1M329 298l20 0M341 314l20 1" style="stroke-width:4;opacity:.6"/>"##,
        r##"<path d="M102 262h196l54 66H48z"/>"##,
        r##"<path class="s" d="M112 270h176l38 50H74z" style="stroke-width:4;opacity:.55"/><path class="d" d="M200 276l62 19-62 19-62-19z" opacity=".5"/><path class="l" d="M200 284l34 11-34 11-34-11z" opacity=".45"/>"##;
    Stool stands 95 plain:
        "",
        r##"<path d="M118 168h164c10 0 16 6 16 14s-6 14-16 14H118c-10 0-16-6-16-14s6-14 16-14zM132 194h20l-16 138h-18zM248 194h20l14 138h-18zM134 262h132v12H134zM190 194h20v130h-20z"/>"##,
        r##"<ellipse class="d" cx="200" cy="170" rx="92" ry="9" opacity=".35"/>"##;
    Chair stands 95 plain:
        "",
        r##"<path d="M130 70h16l8 142h-18zM254 70h16l-6 142h-18zM126 74c40-16 108-16 148 0v26c-40-14-108-14-148 0zM140 130c34-10 86-10 120 0v14c-34-8-86-8-120 0zM124 206h152c10 0 14 20 4 24H120c-10-4-6-24 4-24zM130 228h16l-8 104h-16zM254 228h16l8 104h-16zM140 282h120v9H140z"/>"##,
        "";
    SideTable stands 110 plain:
        r##"<path class="g" d="M196 172c-30-40-10-66-6-76 12 18 22 48 12 76zM206 172c6-36 30-50 40-54 0 24-12 46-34 56z"/><path class="l" d="M180 168h44l-6 30h-32z"/>"##,
        r##"<path d="M96 196h208c8 0 12 5 12 11s-4 11-12 11H96c-8 0-12-5-12-11s4-11 12-11zM122 218h16l-12 114h-14zM262 218h16l10 114h-14zM192 218h16v106h-16z"/>"##,
        "";
    Bench stands 150 plain:
        "",
        r##"<path d="M52 216h296c8 0 12 6 12 12s-4 12-12 12H52c-8 0-12-6-12-12s4-12 12-12zM76 240h20l-10 92H68zM304 240h20l8 92h-18zM90 282h220v10H90z"/>"##,
        r##"<path class="s" d="M60 224h280" style="stroke-width:2;opacity:.4"/>"##;
    Shelf hangs 0 plain:
        r##"<path class="d" d="M110 130h22v92h-22zM136 146h18v76h-18z" /><path d="M158 138h24v84h-24z" fill="#6a7f8f"/><path d="M186 150l20-4 14 74-20 3z" fill="#b9854f"/><path class="g" d="M268 190c-26-30-16-54-8-66 14 16 22 42 16 66zM280 190c2-26 18-40 30-44 2 20-8 36-22 46z"/><path class="l" d="M252 186h46l-6 36h-34z"/>"##,
        r##"<path d="M64 222h272v22H64zM96 244h14v30H96zM290 244h14v30h-14z"/>"##,
        "";
    Basket stands 110 plain:
        r##"<path class="s" d="M128 196C128 90 272 90 272 196" style="stroke-width:12"/>"##,
        r##"<path d="M92 188h216l-22 130c-2 10-8 14-18 14H132c-10 0-16-4-18-14z"/>"##,
        r##"<path class="s" d="M98 216h204M102 242h196M106 268h188M110 294h180" style="stroke-width:4;opacity:.45"/><path class="s" d="M130 196l14 134M165 196l8 134M200 196v134M235 196l-8 134M270 196l-14 134" style="stroke-width:3;opacity:.3"/><path class="d" d="M86 182h228v14H86z"/>"##;
    Hamper stands 110 plain:
        "",
        r##"<path d="M100 170h200v146c0 10-6 16-16 16H116c-10 0-16-6-16-16z"/>"##,
        r##"<path class="s" d="M102 210h196M102 240h196M102 270h196M102 300h196" style="stroke-width:4;opacity:.4"/><path class="c" d="M92 132h216c6 0 10 4 10 10v26H82v-26c0-6 4-10 10-10z"/><path d="M92 132h216c6 0 10 4 10 10v26H82v-26c0-6 4-10 10-10z" opacity=".14"/><rect class="k" x="184" y="156" width="32" height="44" rx="5"/><rect class="m" x="192" y="176" width="16" height="10" rx="3"/>"##;
    Hooks hangs 0 plain:
        r##"<path d="M92 214c-4 60 4 90 22 98 20-10 26-44 18-98z" fill="#8c5d4c"/>"##,
        r##"<path d="M44 150h312c6 0 10 4 10 10v34c0 6-4 10-10 10H44c-6 0-10-4-10-10v-34c0-6 4-10 10-10z"/>"##,
        r##"<path class="t" d="M112 178v40c0 20-26 20-26 4M176 178v40c0 20-26 20-26 4M240 178v40c0 20-26 20-26 4M304 178v40c0 20-26 20-26 4" style="stroke-width:8"/>"##;
    Crate stands 125 plain:
        "",
        r##"<path d="M80 184h240v40H80zM80 232h240v40H80zM80 280h240v52H80z"/>"##,
        r##"<path class="d" d="M80 184h20v148H80zM300 184h20v148h-20z" opacity=".55"/><rect fill="#2b2118" x="166" y="194" width="68" height="20" rx="10" opacity=".75"/>"##;
    Tin stands 80 patterned:
        "",
        r##"<path d="M124 160h152v158c0 8-6 14-14 14H138c-8 0-14-6-14-14z"/>"##,
        r##"<path class="d" d="M118 128h164v38H118z"/><path class="l" d="M144 206h112v72H144z" opacity=".92"/><path class="t" d="M162 230h76M172 246h56M182 260h36" style="stroke-width:4;opacity:.55"/>"##;
    Planter stands 90 patterned:
        r##"<path class="g" d="M196 210c-70-40-84-96-78-130 50 14 82 66 86 126zM206 210c-6-70 10-120 40-150 26 40 12 110-26 150zM216 210c14-50 54-84 98-86-6 46-44 80-90 90z"/><path d="M196 210C180 160 156 120 124 86M208 208c4-56 18-100 38-142M222 208c22-40 50-66 84-80" fill="none" stroke="#4d6637" stroke-width="3"/>"##,
        r##"<path d="M116 204h168l-18 114c-2 10-8 14-16 14H150c-8 0-14-4-16-14z"/>"##,
        r##"<path class="d" d="M108 196h184v18H108z"/>"##;
    WateringCan stands 115 plain:
        r##"<path class="s" d="M168 184C150 96 290 90 300 236" style="stroke-width:12"/><path class="d" d="M140 262L52 150l-22 6-6-16 50-18 8 16-12 8 84 76z"/>"##,
        r##"<path d="M130 186h150l14 132c1 8-5 14-14 14H132c-9 0-15-6-14-14z"/>"##,
        r##"<ellipse class="d" cx="205" cy="186" rx="75" ry="12"/><path class="m" d="M20 134l54-20 5 12-54 20z"/>"##;
    Trowel stands 70 plain:
        r##"<path d="M176 196c0-8 48-8 48 0 12 50 4 104-24 134-28-30-36-84-24-134z" fill="#9aa1a5"/><path d="M200 204v104" stroke="#6f777c" stroke-width="5"/><path class="i" d="M193 150h14v46h-14z"/>"##,
        r##"<path d="M180 66c0-26 40-26 40 0l-4 76c-2 16-30 16-32 0z"/>"##,
        r##"<circle fill="#2b2118" cx="200" cy="66" r="5"/>"##;
    BirdHouse stands 80 plain:
        r##"<path class="k" d="M192 290h16v42h-16z"/>"##,
        r##"<path d="M128 168l72-78 72 78v130H128z"/>"##,
        r##"<path class="k" d="M200 64l96 104-16 14-80-88-80 88-16-14z"/><circle cx="200" cy="196" r="25" fill="#241a12"/><path class="w" d="M194 238h12v30h-12z"/>"##;
    HangingPot hangs 0 patterned:
        r##"<path class="t" d="M200 0v70L128 214M200 70l72 144" style="stroke-width:4"/><path class="g" d="M140 214c-40 10-62 60-56 104 26-12 46-40 52-70 4 40 20 70 40 84 10-30 6-70-8-100zM262 214c40 10 60 50 58 90-26-8-46-34-52-64-2 34-14 60-32 74-12-28-8-64 6-92z"/>"##,
        r##"<path d="M120 208h160c0 54-34 92-80 92s-80-38-80-92z"/>"##,
        r##"<path class="d" d="M112 200h176v16H112z"/>"##;
    Mirror hangs 0 plain:
        r##"<path class="t" d="M150 96l50-44 50 44" style="stroke-width:4"/><circle class="k" cx="200" cy="50" r="7"/>"##,
        r##"<path d="M200 84c64 0 104 52 104 122s-40 122-104 122S96 276 96 206 136 84 200 84zm0 22c-50 0-82 42-82 100s32 100 82 100 82-42 82-100-32-100-82-100z" fill-rule="evenodd"/>"##,
        r##"<ellipse cx="200" cy="206" rx="82" ry="100" fill="#dbe6ea"/><path d="M140 250l96-130M164 276l96-130" stroke="#fff" stroke-width="13" opacity=".65" stroke-linecap="round"/>"##;
    Dish stands 110 plain:
        r##"<path class="l" d="M134 232c-4-30 24-44 66-44s70 14 66 44c-2 18-20 24-66 24s-64-6-66-24z"/><path d="M160 222c20-12 60-12 80 0" stroke="#d8cdb8" stroke-width="5" fill="none"/>"##,
        r##"<path d="M78 258h244c0 40-30 66-70 70v4H148v-4c-40-4-70-30-70-70z"/>"##,
        r##"<ellipse class="d" cx="200" cy="258" rx="122" ry="9"/>"##;
    Bottle stands 70 plain:
        r##"<path class="m" d="M184 60h60c12 0 18 8 18 18h-12c0-4-2-6-8-6h-34v40h-24z"/>"##,
        r##"<path d="M178 106h44v40c0 14 34 26 34 62v106c0 12-6 18-18 18h-76c-12 0-18-6-18-18V208c0-36 34-48 34-62z" opacity=".9"/>"##,
        r##"<rect class="l" x="150" y="216" width="100" height="74" rx="3" opacity=".92"/><path class="t" d="M166 238h68M176 254h48M186 270h28" style="stroke-width:4;opacity:.55"/>"##;
    Notebook stands 100 patterned:
        r##"<path class="l" d="M146 92h128c8 0 12 4 12 12v224H146z"/><path d="M280 100v226M274 98v228" stroke="#d5cbb8" stroke-width="2"/>"##,
        r##"<path d="M130 84h128c8 0 12 4 12 12v224c0 8-4 12-12 12H130c-8 0-12-4-12-12V96c0-8 4-12 12-12z"/>"##,
        r##"<path class="d" d="M140 84h8v248h-8zM240 84h9v248h-9z"/><rect class="l" x="166" y="130" width="58" height="40" rx="2" opacity=".9"/><path class="t" d="M176 146h38M182 156h26" style="stroke-width:3;opacity:.5"/>"##;
    Tray stands 130 plain:
        r##"<path class="l" d="M92 232l216-14 6 30-226 10z"/><path class="i" d="M120 236l150-26 2 8-150 26z"/>"##,
        r##"<path d="M64 246h272l-14 72c-2 9-7 14-16 14H94c-9 0-14-5-16-14z"/>"##,
        r##"<rect fill="#2b2118" x="170" y="268" width="60" height="18" rx="9" opacity=".7"/>"##;
    Pouch stands 125 patterned:
        r##"<path class="s" d="M312 190l34 26" style="stroke-width:8"/>"##,
        r##"<path d="M88 184h224c14 0 20 8 20 22l10 104c1 14-6 22-20 22H78c-14 0-21-8-20-22l10-104c0-14 6-22 20-22z"/>"##,
        r##"<path class="d" d="M76 184h248v14H76z"/><path class="m" d="M296 178h26v26h-26z"/><path class="s" d="M80 218h240" style="stroke-width:2;opacity:.5;stroke-dasharray:6 8"/>"##;
    Clock hangs 0 plain:
        "",
        r##"<circle cx="200" cy="200" r="124"/>"##,
        r##"<circle class="l" cx="200" cy="200" r="100"/><path class="t" d="M200 112v14M200 274v14M112 200h14M274 200h14M138 138l9 9M262 262l-9-9M262 138l-9 9M138 262l9-9" style="opacity:.7"/><path class="t" d="M200 200v-62M200 200l44 26" style="stroke-width:8"/><path d="M200 222V130" stroke="#b5432e" stroke-width="3"/><circle class="i" cx="200" cy="200" r="8"/>"##;
    Blocks stands 130 plain:
        r##"<path fill="#d8b384" d="M78 250h82v82H78z"/><path fill="#cf9a2b" d="M240 250h84v82h-84z"/><path fill="#93b5c9" d="M120 168h82v82h-82z"/>"##,
        r##"<path d="M160 250h80v82h-80zM204 168h80v82h-80zM164 86h76l0 82h-76z"/>"##,
        r##"<path d="M202 60l46 26h-92z" fill="#b5432e"/><circle cx="119" cy="291" r="22" fill="#fff" opacity=".5"/><path d="M140 190h42v42h-42z" fill="#fff" opacity=".45"/><path d="M282 268l26 46h-52z" fill="#fff" opacity=".5"/>"##;
    Duck stands 120 plain:
        r##"<path class="t" d="M84 292H20" style="stroke-width:4"/><circle class="m" cx="20" cy="292" r="8"/><path d="M104 138l-54 14c-6 8 2 18 14 18l44-4z" fill="#d98a2b"/>"##,
        r##"<path d="M150 92c40 0 56 34 46 70 40 24 94 10 124-20 12 60-8 134-92 150h-84c-50-10-62-66-40-104-6-50 6-96 46-96z"/>"##,
        r##"<circle cx="138" cy="134" r="8" fill="#1d1d1f"/><path class="d" d="M190 216c40 16 76 8 98-10-4 40-60 58-98 10z" opacity=".6"/><path class="k" d="M104 284h180v16H104z"/><circle class="w" cx="136" cy="308" r="24"/><circle class="w" cx="254" cy="308" r="24"/><circle class="k" cx="136" cy="308" r="6"/><circle class="k" cx="254" cy="308" r="6"/>"##;
    Horse stands 140 plain:
        r##"<path class="k" d="M56 292c70 46 218 46 288 0l8 14c-80 50-224 50-304 0z"/><path class="d" d="M298 196c34 6 40 40 28 74-14-20-18-40-36-46z"/>"##,
        r##"<path d="M116 96l24 12 6-18 14 24c24 18 34 40 42 62h70c26 0 36 18 34 44l10 96h-22l-22-70h-90l-26 70h-22l14-104c-8-30-6-48-8-58l-34 22c-12 4-20-8-16-20z"/>"##,
        r##"<circle cx="128" cy="136" r="5" fill="#1d1d1f"/><path class="d" d="M160 112c34 20 44 50 48 70l-18 2c-8-30-20-50-36-62z"/><path d="M206 172c20 8 46 8 62 0l4 30c-24 10-48 10-70 0z" fill="#b5432e"/>"##;
    Bear stands 105 plain:
        "",
        r##"<path d="M142 78a28 28 0 0 1 34-14c14-6 34-6 48 0a28 28 0 0 1 34 14c8 16 2 28-4 34 8 40-8 66-22 74 20 8 32 24 38 46 20 10 24 36 10 48-8 6-16 2-20-4 4 24-8 56-38 56h-44c-30 0-42-32-38-56-4 6-12 10-20 4-14-12-10-38 10-48 6-22 18-38 38-46-14-8-30-34-22-74-6-6-12-18-4-34z"/>"##,
        r##"<ellipse class="l" cx="200" cy="146" rx="27" ry="21" opacity=".75"/><path d="M189 135h22l-11 12z" fill="#1d1d1f"/><circle cx="172" cy="118" r="6" fill="#1d1d1f"/><circle cx="228" cy="118" r="6" fill="#1d1d1f"/><ellipse class="l" cx="200" cy="262" rx="36" ry="42" opacity=".35"/>"##;
    Rings stands 105 plain:
        r##"<path class="k" d="M194 70h12v240h-12z"/><circle class="w" cx="200" cy="70" r="15"/>"##,
        r##"<path d="M106 294h188a18 18 0 0 1 0 36H106a18 18 0 0 1 0-36zM134 218h132a18 18 0 0 1 0 36H134a18 18 0 0 1 0-36zM158 142h84a18 18 0 0 1 0 36h-84a18 18 0 0 1 0-36z"/>"##,
        r##"<path d="M120 256h160a18 18 0 0 1 0 36H120a18 18 0 0 1 0-36z" fill="#cf9a2b"/><path d="M146 180h108a18 18 0 0 1 0 36H146a18 18 0 0 1 0-36z" fill="#93b5c9"/><path d="M172 106h56a17 17 0 0 1 0 34h-56a17 17 0 0 1 0-34z" fill="#b5432e"/>"##;
    Packet stands 85 patterned:
        "",
        r##"<path d="M126 104h148l12 40v176c0 8-4 12-12 12H126c-8 0-12-4-12-12V144z"/>"##,
        r##"<path class="d" d="M126 92h148v24H126z"/><path class="l" d="M140 178h120v100H140z" opacity=".93"/><path d="M200 194c26 14 26 46 0 60-26-14-26-46 0-60zm0 6c-8 16-8 32 0 48" fill="#5b3a24"/><path class="t" d="M176 266h48" style="stroke-width:4;opacity:.5"/>"##;
    HoneyJar stands 80 plain:
        "",
        r##"<path d="M132 158h136c14 8 18 22 18 40v108c0 18-8 26-26 26H140c-18 0-26-8-26-26V198c0-18 4-32 18-40z" opacity=".92"/>"##,
        r##"<rect class="i" x="128" y="122" width="144" height="38" rx="6"/><path class="l" d="M130 208h140v80H130z" opacity=".94"/><path class="t" d="M156 232h88M168 250h64M180 268h40" style="stroke-width:4;opacity:.55"/>"##;
    Bar stands 90 patterned:
        r##"<path d="M140 92h120v70H140z" fill="#4a2a18"/><path d="M200 92v70M140 126h120" stroke="#2f190d" stroke-width="4"/>"##,
        r##"<path d="M128 150h144v170c0 8-4 12-10 12H138c-6 0-10-4-10-12z"/>"##,
        r##"<path d="M128 150l12-10 12 10 12-10 12 10 12-10 12 10 12-10 12 10 12-10 12 10 12-10 12 10v10H128z" fill="#d9c58f"/><path class="l" d="M146 200h108v84H146z" opacity=".93"/><path class="t" d="M164 228h72M174 246h52" style="stroke-width:4;opacity:.55"/>"##;
    Tote stands 115 patterned:
        r##"<path class="s" d="M152 180C146 60 254 60 248 180" style="stroke-width:10"/>"##,
        r##"<path d="M102 172h196l16 144c1 10-5 16-14 16H100c-9 0-15-6-14-16z"/>"##,
        r##"<path class="s" d="M104 190h192" style="stroke-width:2;opacity:.5;stroke-dasharray:6 8"/><path class="w" d="M144 166h18v40h-18zM238 166h18v40h-18z"/>"##;
    Rucksack stands 105 patterned:
        r##"<path class="s" d="M176 90C176 50 224 50 224 90" style="stroke-width:10"/><path class="d" d="M96 220h28v84H96c-10 0-14-6-14-14v-56c0-8 4-14 14-14zM304 220h-28v84h28c10 0 14-6 14-14v-56c0-8-4-14-14-14z"/>"##,
        r##"<path d="M200 82c54 0 88 34 88 90v136c0 16-8 24-24 24H136c-16 0-24-8-24-24V172c0-56 34-90 88-90z"/>"##,
        r##"<path class="d" d="M112 168c20 34 156 34 176 0v26c-20 30-156 30-176 0z" opacity=".7"/><path class="d" d="M140 244h120v70H140z" opacity=".5"/><path class="w" d="M160 150h16v70h-16zM224 150h16v70h-16z"/><path class="m" d="M158 206h20v12h-20zM222 206h20v12h-20z"/>"##;
    Weekender stands 145 patterned:
        r##"<path class="s" d="M136 200C130 96 270 96 264 200" style="stroke-width:10"/>"##,
        r##"<path d="M84 184h232c24 0 34 30 36 66 2 44-4 82-28 82H76c-24 0-30-38-28-82 2-36 12-66 36-66z"/>"##,
        r##"<path class="s" d="M78 200h244" style="stroke-width:3;opacity:.5;stroke-dasharray:8 8"/><path class="w" d="M126 184h20v148h-20zM254 184h20v148h-20z"/><path class="m" d="M124 226h24v14h-24zM252 226h24v14h-24z"/>"##;
}
