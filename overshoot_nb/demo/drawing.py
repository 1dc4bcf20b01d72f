"""Draws the demo game: a basketball court, two teams, a ball, a scoreboard and banners.

Everything that does not change is drawn once, four times too large, and scaled down; a frame is
then a few pastes. Coordinates are those of a picture of 640x360.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from . import timeline

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_HOME, _AWAY = (232, 84, 48), (58, 128, 246)
_INK, _PAPER, _GOLD = (14, 18, 30), (244, 246, 250), (255, 206, 84)
#: The view is wider than the picture: the camera pans over it.
_PAN = 64
_HOOP = (618, 118)
_BOARD_WIDTH = 224
_BOARD_X = (640 - _BOARD_WIDTH) / 2
_FLIGHT_SECONDS = 1.0
_WIPE = (timeline.PERIOD_BREAK - 0.19, timeline.PERIOD_BREAK + 0.15)


def _mix(a: tuple[int, ...], b: tuple[int, ...], t: float) -> tuple[int, ...]:
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b, strict=True))


def _ease(t: float) -> float:
    t = min(1.0, max(0.0, t))
    return t * t * (3 - 2 * t)


class Scene:
    """Frames of the demo game at one size.

    Args:
        width, height: pixels; best at 16:9.
    """

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._scale = min(width / 640, height / 360)
        # Texts and banners are drawn once and pasted many times.
        self._text = lru_cache(maxsize=256)(self._draw_text)
        self._strip = lru_cache(maxsize=16)(self._draw_strip)
        self._court = self._draw_court()
        self._mirrored = self._court.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        self._players = [self._draw_player(_HOME), self._draw_player(_AWAY)]
        self._ball = self._draw_ball()
        self._board = self._draw_board()

    def frame(self, time: float) -> Picture:
        """The picture ``time`` seconds into the video."""
        second = time >= timeline.PERIOD_BREAK
        picture = self._view(time, second)
        start, end = _WIPE
        if start <= time < end:
            self._wipe(picture, (time - start) / (end - start))
        self._scoreboard(picture, time)
        self._banner(picture, time)
        return picture

    # ---- the moving scene --------------------------------------------------------------------

    def _view(self, time: float, second: bool) -> Picture:
        width, height = self.size
        pan = round(self._px(_PAN / 2) * (1 + math.sin(time * 0.45)))
        court = self._mirrored if second else self._court
        picture = court.crop((pan, 0, pan + width, height))

        def across(x: float) -> float:
            """A place on the court as a place in the picture."""
            return self._px((640 + _PAN - x) if second else x) - pan

        spots = [self._spot(i, time, second) for i in range(10)]
        for index in sorted(range(10), key=lambda i: spots[i][1]):
            x, y = spots[index]
            body = self._players[index % 2]
            # Feet at the spot; a running bob.
            bob = abs(math.sin(time * 7 + index)) * 3
            at = (
                round(across(x) - body.width / 2),
                round(self._px(y - bob) - body.height),
            )
            picture.paste(body, at, body)
        x, y = self._ball_at(time, spots)
        at = (round(across(x) - self._ball.width / 2), round(self._px(y) - self._ball.height / 2))
        picture.paste(self._ball, at, self._ball)
        return picture

    @staticmethod
    def _spot(index: int, time: float, second: bool) -> tuple[float, float]:
        """Where a player's feet are: around a place of his own, never twice the same way."""
        phase = index * 2.4 + (1.3 if second else 0)
        home_x = 300 + 70 * (index % 5) - 18 * (index // 5)
        home_y = 210 + 26 * (index % 4) + 6 * (index // 5)
        x = home_x + 34 * math.sin(time * 0.9 + phase) + 14 * math.sin(time * 2.1 + phase * 2)
        y = home_y + 14 * math.sin(time * 1.2 + phase * 1.7)
        return x, y

    @staticmethod
    def _ball_at(time: float, spots: list[tuple[float, float]]) -> tuple[float, float]:
        for basket in timeline.BASKETS:
            if basket.at - _FLIGHT_SECONDS <= time < basket.at:
                t = 1 - (basket.at - time) / _FLIGHT_SECONDS
                x0, y0 = spots[basket.team + 2]
                y0 -= 46
                lift = 110 * 4 * t * (1 - t)
                return x0 + (_HOOP[0] - x0) * t, y0 + (_HOOP[1] - y0) * t - lift
            if basket.at <= time < basket.at + 0.6:
                t = (time - basket.at) / 0.6
                return _HOOP[0], _HOOP[1] + 80 * t * t
        # Dribbled by one player after the other.
        x, y = spots[int(time / 2.5) % 10]
        return x + 12, y - 4 - 20 * abs(math.sin(time * 6))

    def _wipe(self, picture: Picture, t: float) -> None:
        """A slanted band in the teams' colours crosses the picture."""
        width, height = self.size
        draw = ImageDraw.Draw(picture)
        middle = -0.8 * width + 2.6 * width * t
        for colour, offset in ((_HOME, -0.32), (_INK, 0.0), (_AWAY, 0.32)):
            left = middle + offset * width
            half, slant = 0.45 * width, 0.2 * width
            draw.polygon(
                [
                    (left - half + slant, 0),
                    (left + half + slant, 0),
                    (left + half - slant, height),
                    (left - half - slant, height),
                ],
                fill=colour,
            )

    # ---- what is read ------------------------------------------------------------------------

    def _scoreboard(self, picture: Picture, time: float) -> None:
        shown = timeline.truth(time)
        picture.paste(self._board, (self._px(_BOARD_X), self._px(14)), self._board)
        for team, name in enumerate(("home_score", "away_score")):
            recent = [
                b
                for b in timeline.BASKETS
                if b.team == team and b.at <= time < b.at + timeline.CHANGE_SECONDS
            ]
            y = 34 + 40 * team
            if not recent:
                self._put(picture, str(shown[name]), 30, _PAPER, right=_BOARD_X + 204, middle=y)
                continue
            # The old number folds away, the new one unfolds.
            t = (time - recent[0].at) / timeline.CHANGE_SECONDS
            value = shown[name] - (recent[0].points if t < 0.5 else 0)
            text = self._text(str(value), 30, _GOLD)
            text = text.resize((text.width, max(1, round(text.height * abs(1 - 2 * t)))))
            at = (self._px(_BOARD_X + 204) - text.width, self._px(y) - text.height // 2)
            picture.paste(text, at, text)
        self._put(picture, shown["period"], 20, _GOLD, left=_BOARD_X + 14, middle=112)
        self._put(picture, shown["clock"], 22, _PAPER, left=_BOARD_X + 58, middle=112)
        seconds = shown["shot_clock"]
        if seconds is not None:
            colour = _GOLD if seconds > 5 else (255, 120, 110)
            self._put(picture, f"SHOT {seconds}", 18, colour, left=_BOARD_X + 140, middle=112)

    def _banner(self, picture: Picture, time: float) -> None:
        for banner in timeline.BANNERS:
            if not banner.start <= time < banner.end + timeline.CHANGE_SECONDS:
                continue
            coming = _ease((time - banner.start) / timeline.CHANGE_SECONDS)
            going = _ease((time - banner.end) / timeline.CHANGE_SECONDS)
            strip = self._strip(banner)
            away = (1 - coming + going) * (self.size[1] - self._px(290))
            at = ((self.size[0] - strip.width) // 2, round(self._px(290) + away))
            picture.paste(strip, at, strip)

    # ---- drawn once --------------------------------------------------------------------------

    def _px(self, value: float) -> int:
        return round(value * self._scale)

    def _put(
        self,
        picture: Picture,
        text: str,
        size: int,
        colour: tuple[int, ...],
        *,
        middle: float,
        left: float | None = None,
        right: float | None = None,
    ) -> None:
        drawn = self._text(text, size, colour)
        x = self._px(left) if left is not None else self._px(right or 0) - drawn.width
        picture.paste(drawn, (x, self._px(middle) - drawn.height // 2), drawn)

    def _draw_text(self, text: str, size: int, colour: tuple[int, ...]) -> Picture:
        font = ImageFont.load_default(size * self._scale)
        stroke = max(0.4, 0.5 * self._scale)  # a little bolder than the face is
        left, _, right, _ = font.getbbox(text, stroke_width=stroke)
        ascent, descent = font.getmetrics()  # type: ignore[union-attr]
        drawn = Image.new("RGBA", (math.ceil(right - left), ascent + descent), (*colour, 0))
        ImageDraw.Draw(drawn).text(
            (-left, 0), text, font=font, fill=(*colour, 255), stroke_width=stroke
        )
        # The middle of a text is that of its capitals.
        top, bottom = font.getbbox("H")[1], font.getbbox("H")[3]
        return drawn.crop((0, int(top) - 2, drawn.width, math.ceil(bottom) + 3))

    def _panel(self, width: float, height: float, radius: float = 10) -> tuple[Picture, Picture]:
        """A dark rounded panel with a light from above, and its mask."""
        size = (self._px(width), self._px(height))
        panel = Image.new("RGB", size)
        draw = ImageDraw.Draw(panel)
        for y in range(size[1]):
            colour = _mix((34, 41, 64), _INK, y / size[1])
            draw.line((0, y, size[0], y), fill=colour)
        large = Image.new("L", (size[0] * 4, size[1] * 4), 0)
        ImageDraw.Draw(large).rounded_rectangle(
            (0, 0, large.width - 1, large.height - 1), self._px(radius) * 4, fill=255
        )
        return panel, large.resize(size, Image.Resampling.LANCZOS)

    def _draw_board(self) -> Picture:
        panel, mask = self._panel(_BOARD_WIDTH, 118)
        draw = ImageDraw.Draw(panel)
        for team, colour in enumerate((_HOME, _AWAY)):
            y = 4 + 40 * team
            draw.rectangle(
                (0, self._px(y), self._px(6), self._px(y + 32)),
                fill=colour,
            )
            self._put(panel, timeline.TEAMS[team], 26, _PAPER, left=18, middle=y + 16)
        draw.rectangle((0, self._px(80), panel.width, self._px(81)), fill=(74, 84, 112))
        panel.putalpha(mask)
        return panel

    def _draw_strip(self, banner: timeline.Banner) -> Picture:
        event = self._text(banner.event, 26, _GOLD)
        player = self._text(banner.player, 22, _PAPER) if banner.player else None
        gap, edge = self._px(28), self._px(24)
        width = event.width + 2 * edge + (gap + player.width if player else 0)
        panel, mask = self._panel(width / self._scale, 46, 8)
        middle = panel.height // 2
        panel.paste(event, (edge, middle - event.height // 2), event)
        if player:
            at = (edge + event.width + gap, middle - player.height // 2)
            panel.paste(player, at, player)
        panel.putalpha(mask)
        return panel

    def _draw_court(self) -> Picture:
        width, height = self.size[0] + self._px(_PAN), self.size[1]
        court = Image.new("RGB", (width, height))
        draw = ImageDraw.Draw(court)
        horizon = self._px(150)
        for y in range(height):
            if y < horizon:
                colour = _mix((18, 16, 40), (58, 40, 84), y / horizon)
            else:
                colour = _mix((176, 116, 66), (232, 178, 116), (y - horizon) / (height - horizon))
            draw.line((0, y, width, y), fill=colour)
        self._draw_crowd(court, horizon)
        floor = ImageDraw.Draw(court)
        white, paint = (250, 240, 225), (188, 74, 60)
        p = self._px
        # Boards run towards the horizon.
        for x in range(-200, 904, 26):
            floor.line((p(x), height, p(352 + (x - 352) * 0.62), horizon), fill=(198, 140, 86))
        floor.polygon(
            [(p(520), p(182)), (p(704), p(182)), (p(704), p(262)), (p(486), p(262))], paint
        )
        line = max(1, p(2))
        floor.line((0, p(166), width, p(166)), white, line)
        floor.line((p(486), p(262), p(520), p(182)), white, line)
        floor.arc((p(380), p(150), p(860), p(330)), 95, 265, white, line)
        floor.ellipse((p(6), p(220), p(150), p(292)), outline=white, width=line)
        floor.line((p(98), p(166), p(54), height), white, line)
        # The hoop, its board and its pole.
        floor.rectangle((p(660), p(64), p(668), p(220)), (46, 52, 72))
        floor.polygon([(p(640), p(60)), (p(652), p(54)), (p(652), p(128)), (p(640), p(122))], white)
        floor.ellipse((p(602), p(112), p(640), p(122)), outline=(240, 96, 40), width=max(2, p(3)))
        for x in range(606, 640, 6):
            floor.line((p(x), p(120), p(621 + (x - 621) * 0.5), p(142)), (225, 225, 230))
        return court

    def _draw_crowd(self, court: Picture, horizon: int) -> None:
        """Lights out of focus above the court, and beams from the roof."""
        rng = random.Random(7)
        glow = Image.new("RGB", court.size)
        draw = ImageDraw.Draw(glow)
        tints = (_HOME, _AWAY, _GOLD, (150, 160, 200), (120, 90, 160))
        for _ in range(420):
            x, y = rng.uniform(0, court.width), rng.uniform(self._px(20), horizon)
            radius = self._px(rng.uniform(1.2, 3.4))
            colour = _mix((20, 16, 40), rng.choice(tints), rng.uniform(0.25, 0.8))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        for x in range(60, 720, 130):
            top, half = self._px(x), self._px(60)
            draw.polygon(
                [(top - 6, 0), (top + 6, 0), (top + half, horizon), (top - half, horizon)],
                fill=(66, 60, 104),
            )
        glow = glow.filter(ImageFilter.GaussianBlur(self._px(2) or 1))
        box = (0, 0, court.width, horizon)
        court.paste(Image.blend(court.crop(box), glow.crop(box), 0.55), box)

    def _draw_player(self, colour: tuple[int, int, int]) -> Picture:
        large = 4 * self._scale
        body = Image.new("RGBA", (round(30 * large), round(62 * large)), (0, 0, 0, 0))
        draw = ImageDraw.Draw(body)

        def box(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
            return (x0 * large, y0 * large, x1 * large, y1 * large)

        skin, shade = (150, 100, 72, 255), _mix(colour, (0, 0, 0), 0.35)
        draw.ellipse(box(1, 54, 29, 62), fill=(60, 34, 20, 110))
        draw.rounded_rectangle(box(9, 36, 14, 59), 2 * large, fill=skin)
        draw.rounded_rectangle(box(16, 36, 21, 59), 2 * large, fill=skin)
        draw.rounded_rectangle(box(8, 32, 22, 46), 3 * large, fill=(*shade, 255))
        draw.rounded_rectangle(box(4, 16, 9, 34), 2.5 * large, fill=skin)
        draw.rounded_rectangle(box(21, 16, 26, 34), 2.5 * large, fill=skin)
        draw.rounded_rectangle(box(7, 14, 23, 36), 5 * large, fill=(*colour, 255))
        draw.ellipse(box(9.5, 1, 20.5, 13), fill=skin)
        draw.pieslice(box(9.5, 1, 20.5, 12), 180, 360, fill=(38, 26, 22, 255))
        size = (self._px(30), self._px(62))
        return body.resize(size, Image.Resampling.LANCZOS)

    def _draw_ball(self) -> Picture:
        side = self._px(15) * 4
        ball = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        draw = ImageDraw.Draw(ball)
        draw.ellipse((0, 0, side - 1, side - 1), fill=(238, 122, 40, 255))
        draw.line((side / 2, 0, side / 2, side), fill=(70, 36, 20, 255), width=side // 14)
        draw.arc((-side * 0.6, 0, side * 0.4, side), 290, 70, (70, 36, 20, 255), side // 14)
        draw.arc((side * 0.6, 0, side * 1.6, side), 110, 250, (70, 36, 20, 255), side // 14)
        return ball.resize((self._px(15), self._px(15)), Image.Resampling.LANCZOS)
